// Renders our chart where Helm is not to be had: Go's templates with the functions that Helm adds to them and that the
// chart uses. Debian has what it needs: golang-go, golang-github-masterminds-sprig-dev, golang-github-ghodss-yaml-dev.
//
//	go run main.go CHART RELEASE NAMESPACE [VALUES.json ...]    writes the manifests to standard output
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"github.com/ghodss/yaml"
)

type values = map[string]interface{}

// Files reads beside the templates, as .Files does.
type Files struct{ folder string }

func (f Files) Get(name string) string {
	text, err := os.ReadFile(filepath.Join(f.folder, name))
	must(err)
	return string(text)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func readYAML(path string) values {
	text, err := os.ReadFile(path)
	must(err)
	var into values
	must(yaml.Unmarshal(text, &into))
	return into
}

// merge lays over on top of base; null takes a key away.
func merge(base, over values) values {
	for key, value := range over {
		inner, isMap := value.(values)
		if below, ok := base[key].(values); ok && isMap {
			base[key] = merge(below, inner)
		} else if value == nil {
			delete(base, key)
		} else {
			base[key] = value
		}
	}
	return base
}

// capitals: the fields of Chart.yaml are known to templates by capitalised names.
func capitals(from values) values {
	to := values{}
	for key, value := range from {
		to[strings.ToUpper(key[:1])+key[1:]] = value
	}
	return to
}

func main() {
	chart, release, namespace := os.Args[1], os.Args[2], os.Args[3]
	set := readYAML(filepath.Join(chart, "values.yaml"))
	for _, path := range os.Args[4:] {
		set = merge(set, readYAML(path))
	}

	all := template.New("chart").Option("missingkey=zero")
	functions := sprig.TxtFuncMap()
	functions["toYaml"] = func(value interface{}) string {
		text, err := yaml.Marshal(value)
		must(err)
		return strings.TrimSuffix(string(text), "\n")
	}
	functions["toJson"] = func(value interface{}) string {
		text, err := json.Marshal(value)
		must(err)
		return string(text)
	}
	functions["include"] = func(name string, data interface{}) (string, error) {
		var out bytes.Buffer
		err := all.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	all.Funcs(functions)

	base := "token-broker/templates"
	paths, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	must(err)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		must(err)
		_, err = all.New(base + "/" + filepath.Base(path)).Parse(string(text))
		must(err)
	}

	context := values{
		"Values":   set,
		"Chart":    capitals(readYAML(filepath.Join(chart, "Chart.yaml"))),
		"Release":  values{"Name": release, "Namespace": namespace, "Service": "Helm"},
		"Template": values{"BasePath": base},
		"Files":    Files{chart},
	}
	for _, path := range paths {
		name := filepath.Base(path)
		var out bytes.Buffer
		if strings.HasPrefix(name, "_") {
			continue
		}
		must(all.ExecuteTemplate(&out, base+"/"+name, context))
		if strings.HasSuffix(name, ".yaml") && strings.TrimSpace(out.String()) != "" {
			fmt.Printf("---\n# Source: %s/%s\n%s\n", base, name, out.String())
		}
	}
}
