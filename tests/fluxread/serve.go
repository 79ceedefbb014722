package main

import (
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
)

// ServeRepository offers one local repository on the loopback interface, as git's own HTTP server does.
func serveRepository(path string) *httptest.Server {
	git, err := exec.LookPath("git")
	if err != nil {
		panic(err)
	}
	return httptest.NewServer(&cgi.Handler{
		Path: git,
		Args: []string{"http-backend"},
		Env: []string{
			"GIT_PROJECT_ROOT=" + filepath.Clean(path),
			"GIT_HTTP_EXPORT_ALL=1",
			"GIT_CONFIG_NOSYSTEM=1",
			"GIT_CONFIG_GLOBAL=/dev/null",
			"GIT_CONFIG_COUNT=1",
			"GIT_CONFIG_KEY_0=safe.directory",
			"GIT_CONFIG_VALUE_0=*",
		},
	})
}
