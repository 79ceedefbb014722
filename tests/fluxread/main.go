// Command fluxread says what Flux would apply, without a cluster: it runs the libraries of which source-controller and
// kustomize-controller are made, up to the objects that would be sent to the API server.
//
// Each line of its standard input is a request, each line of its standard output the answer to one, both in JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
)

// A request names a tree and the folder in it (`spec.path` of a Kustomization). The tree is the tip of a branch of a
// local repository, which is cloned, or a folder as it is. Isolated builds know nothing of what was built before.
type request struct {
	Repository string `json:"repository"`
	Branch     string `json:"branch"`
	Folder     string `json:"folder"`
	Path       string `json:"path"`
	Isolated   bool   `json:"isolated"`
}

// An answer lists what would be applied, in Flux's order, or says in which stage and why nothing would be.
//
// Digest is that of the artifact as source-controller stores it. Encrypted are the objects for which
// kustomize-controller demands `spec.decryption`; they are among the resources.
type answer struct {
	Resources []object `json:"resources"`
	Encrypted []object `json:"encrypted"`
	Digest    string   `json:"digest"`
	Stage     string   `json:"stage"`
	Error     string   `json:"error"`
}

type object struct {
	Group     string            `json:"group"`
	Version   string            `json:"version"`
	Kind      string            `json:"kind"`
	Namespace string            `json:"namespace"`
	Name      string            `json:"name"`
	Labels    map[string]string `json:"labels"`
}

// A failure is an error and the stage that it came from.
type failure struct {
	stage string
	cause error
}

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	out := json.NewEncoder(os.Stdout)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var asked request
		if err := json.Unmarshal(in.Bytes(), &asked); err != nil {
			return fmt.Errorf("request: %w", err)
		}
		if err := out.Encode(respond(context.Background(), asked)); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	return in.Err()
}

func respond(ctx context.Context, asked request) (told answer) {
	defer func() {
		// A controller recovers from a panic as well and reports it as an error of the object.
		if cause := recover(); cause != nil {
			told = answer{Stage: "panic", Error: fmt.Sprint(cause)}
		}
	}()
	found, err := read(ctx, asked)
	if err != nil {
		return answer{Stage: err.stage, Error: err.cause.Error()}
	}
	return found
}
