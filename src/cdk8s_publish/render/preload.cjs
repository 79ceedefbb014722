// Loaded into every Node.js and Bun process of an app (NODE_OPTIONS, BUN_OPTIONS). Keeps the bytes of a rendered file
// that is about to be overwritten, because cdk8s names files after kind and name only: a second resource with the same
// file name replaces the first one, silently. Python, Go and Java apps write through the jsii kernel, which is Node too.
//
// It must never be noticed by the app: every failure is swallowed, nothing is printed.
'use strict';

const fs = require('fs');
const path = require('path');

const keep = process.env.OVERWRITTEN_KEEP; // folder that receives <random>/<path below the watched folder>
const watched = (process.env.OVERWRITTEN_WATCH || '').split(path.delimiter).filter(Boolean);

const { copyFileSync, lstatSync, mkdirSync, mkdtempSync } = fs;

function remember(file) {
  try {
    if (typeof file !== 'string') {
      if (file instanceof URL) file = require('url').fileURLToPath(file);
      else if (Buffer.isBuffer(file)) file = file.toString();
      else return; // a descriptor: its file was opened before
    }
    const absolute = path.resolve(file);
    const root = watched.find((folder) => absolute.startsWith(folder + path.sep));
    if (root === undefined) return;
    const status = lstatSync(absolute, { throwIfNoEntry: false });
    if (status === undefined || !status.isFile() || status.size === 0) return;
    const copy = path.join(mkdtempSync(keep + path.sep), path.relative(root, absolute));
    mkdirSync(path.dirname(copy), { recursive: true });
    copyFileSync(absolute, copy);
  } catch {
    // The app goes on as if we were not here.
  }
}

const truncates = (flags) =>
  typeof flags === 'number' ? (flags & fs.constants.O_TRUNC) !== 0 : typeof flags === 'string' && flags.startsWith('w');
const flagOf = (options) => (options && typeof options === 'object' && options.flag) || 'w';

// Name of a function → which of its arguments is replaced by the call, if any.
const writers = {
  writeFile: (args) => (truncates(flagOf(args[2])) ? args[0] : undefined),
  open: (args) => (truncates(args[1]) ? args[0] : undefined),
  copyFile: (args) => args[1],
  rename: (args) => args[1],
  truncate: (args) => args[0],
};

function wrap(holder, name, victim) {
  const original = holder[name];
  if (typeof original !== 'function') return;
  const wrapped = function (...args) {
    const file = victim(args);
    if (file !== undefined) remember(file);
    return Reflect.apply(original, this, args);
  };
  Object.defineProperties(wrapped, Object.getOwnPropertyDescriptors(original)); // name, length, util.promisify
  holder[name] = wrapped;
}

if (keep && watched.length > 0) {
  try {
    for (const [name, victim] of Object.entries(writers)) {
      wrap(fs, name, victim);
      wrap(fs, name + 'Sync', victim);
      wrap(fs.promises, name, victim);
    }
    require('module').syncBuiltinESMExports();
  } catch {
    // As above.
  }
}
