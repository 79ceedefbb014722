package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/artifact/config"
	"github.com/fluxcd/pkg/artifact/storage"
	"github.com/fluxcd/pkg/git"
	"github.com/fluxcd/pkg/git/gogit"
	"github.com/fluxcd/pkg/git/repository"
	"github.com/fluxcd/pkg/kustomize"
	"github.com/fluxcd/pkg/kustomize/filesys"
	"github.com/fluxcd/pkg/sourceignore"
	"github.com/fluxcd/pkg/ssa/normalize"
	"github.com/fluxcd/pkg/ssa/utils"
	"github.com/fluxcd/pkg/tar"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
)

// Read does what both controllers do, one after the other.
func read(ctx context.Context, asked request) (answer, *failure) {
	scratch, err := os.MkdirTemp("", "fluxread-")
	if err != nil {
		return answer{}, &failure{"scratch", err}
	}
	defer os.RemoveAll(scratch)

	tree := asked.Folder
	if asked.Repository != "" {
		tree = filepath.Join(scratch, "clone")
		if err := clone(ctx, asked, tree); err != nil {
			return answer{}, &failure{"clone", err}
		}
	}
	archive, digest, err := pack(tree, filepath.Join(scratch, "storage"))
	if err != nil {
		return answer{}, &failure{"archive", err}
	}
	work := filepath.Join(scratch, "work")
	if err := unpack(archive, work); err != nil {
		return answer{}, &failure{"unpack", err}
	}
	text, err := build(work, filepath.Join(work, asked.Path), asked.Isolated)
	if err != nil {
		return answer{}, &failure{"build", err}
	}
	found, err := objects(text)
	if err != nil {
		return answer{}, &failure{"read", err}
	}
	found.Digest = digest
	return found, nil
}

// Clone gets a branch as source-controller does, over HTTP: its client takes no other local address.
func clone(ctx context.Context, asked request, into string) error {
	server := serveRepository(asked.Repository)
	defer server.Close()
	address, err := url.Parse(server.URL)
	if err != nil {
		return err
	}
	anonymous, err := git.NewAuthOptions(*address, nil)
	if err != nil {
		return err
	}
	client, err := gogit.NewClient(into, anonymous, gogit.WithDiskStorage(), gogit.WithInsecureCredentialsOverHTTP())
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = client.Clone(ctx, address.String(), repository.CloneConfig{
		ShallowClone:     true,
		CheckoutStrategy: repository.CheckoutStrategy{Branch: asked.Branch},
	})
	return err
}

// Pack makes the artifact of source-controller: the tree without what it ignores.
func pack(tree, store string) (archive, digest string, err error) {
	if err := os.Mkdir(store, 0o700); err != nil {
		return "", "", err
	}
	domain := strings.Split(tree, string(filepath.Separator))
	patterns, err := sourceignore.LoadIgnorePatterns(tree, domain)
	if err != nil {
		return "", "", err
	}
	disk, err := storage.New(&config.Options{
		StoragePath:        store,
		StorageAdvAddress:  "unused.invalid",
		ArtifactDigestAlgo: "sha256",
	})
	if err != nil {
		return "", "", err
	}
	artifact := meta.Artifact{Path: "artifact.tar.gz"}
	if err := disk.Archive(&artifact, tree, storage.SourceIgnoreFilter(patterns, domain)); err != nil {
		return "", "", err
	}
	return disk.LocalPath(artifact), artifact.Digest, nil
}

// Unpack does what kustomize-controller does with a downloaded artifact.
func unpack(archive, into string) error {
	if err := os.Mkdir(into, 0o700); err != nil {
		return err
	}
	stream, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer stream.Close()
	return tar.Untar(stream, into, tar.WithMaxUntarSize(tar.UnlimitedUntarSize), tar.WithSkipSymlinks())
}

// Build runs kustomize on a folder, which gets a kustomization file where it has none, and returns YAML documents.
func build(root, folder string, isolated bool) ([]byte, error) {
	if _, err := os.Stat(folder); err != nil {
		return nil, errors.New("kustomization path not found")
	}
	flux := unstructured.Unstructured{Object: map[string]any{}}
	if _, err := kustomize.NewGenerator(root, flux).WriteFile(folder); err != nil {
		return nil, err
	}
	built, err := run(root, folder, isolated)
	if err != nil {
		return nil, err
	}
	for _, one := range built.Resources() {
		// The controller's own rule; its library drops such a resource without a word.
		if one.GetApiVersion() == "" || one.GetKind() == "" || one.GetName() == "" {
			return nil, fmt.Errorf("apiVersion, kind or name is missing: %s", one)
		}
	}
	return built.AsYaml()
}

// Run builds as kustomize-controller does. That loads kustomize's schemas of all Kubernetes kinds anew, which takes a
// hundred milliseconds and makes a difference only after a build that brought schemas of its own; so it is done on
// request.
func run(root, folder string, isolated bool) (built resmap.ResMap, err error) {
	if isolated {
		return kustomize.SecureBuild(root, folder, false)
	}
	defer func() {
		// So does kustomize-controller: kustomize has its ways to stumble over odd values.
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic in kustomize: %v", cause)
		}
	}()
	disk, err := filesys.MakeFsOnDiskSecure(root)
	if err != nil {
		return nil, err
	}
	options := krusty.Options{LoadRestrictions: types.LoadRestrictionsNone, PluginConfig: types.DisabledPluginConfig()}
	return krusty.MakeKustomizer(&options).Run(disk, folder)
}

// Objects reads the documents as they would be applied.
func objects(text []byte) (answer, error) {
	all, err := utils.ReadObjects(bytes.NewReader(text))
	if err != nil {
		return answer{}, err
	}
	if err := normalize.UnstructuredList(all); err != nil {
		return answer{}, err
	}
	found := answer{Resources: []object{}, Encrypted: []object{}}
	for _, one := range all {
		kind := one.GroupVersionKind()
		entry := object{kind.Group, kind.Version, kind.Kind, one.GetNamespace(), one.GetName(), one.GetLabels()}
		found.Resources = append(found.Resources, entry)
		if utils.IsSecret(one) && one.Object["sops"] != nil {
			found.Encrypted = append(found.Encrypted, entry)
		}
	}
	return found, nil
}
