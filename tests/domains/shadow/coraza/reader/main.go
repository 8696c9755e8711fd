// Reads requests from standard input, one a line in JSON, and writes what Coraza sees of each.
//
// Texts are UTF-8, as in a sample. Results have base64, since Coraza's values may be any bytes.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httputil"
	"os"
	"strings"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/collection"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"
	"github.com/corazawaf/coraza/v3/types/variables"
)

// The rules of coraza.conf-recommended that choose how a body is read, and its limits.
const directives = `
SecRuleEngine DetectionOnly
SecRequestBodyAccess On
SecRequestBodyLimit 13107200
SecRequestBodyInMemoryLimit 13107200
SecRequestBodyJsonDepthLimit 1024
SecArgumentsLimit 1000
SecRule REQUEST_HEADERS:Content-Type "^(?:application(?:/soap\+|/)|text/)xml" \
     "id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "^application/json" \
     "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "^application/[a-z0-9.-]+[+]json" \
     "id:200006,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
`

type request struct {
	Method   string      `json:"method"`
	URI      string      `json:"uri"`
	Protocol string      `json:"protocol"`
	Headers  [][2]string `json:"headers"`
	Body     []byte      `json:"body"`
}

type pair [2][]byte

type single = collection.Single

type seen struct {
	Values map[string][]pair `json:"values"`
	// The names of error flags that are set.
	Flags []string `json:"flags"`
	// What the body processor said, which names it.
	Error string `json:"error"`
	// The processor of the body: URLENCODED, MULTIPART, JSON, XML or none.
	Processor string `json:"processor"`
	// The body with its chunks joined, as Coraza is given it.
	Body []byte `json:"body"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	uploads, err := os.MkdirTemp("", "coraza-reader-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(uploads)
	config := coraza.NewWAFConfig().WithDirectives(directives + "SecUploadDir " + uploads + "\n")
	waf, err := coraza.NewWAF(config)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bufio.NewReader(in))
	writer := bufio.NewWriter(out)
	encoder := json.NewEncoder(writer)
	for {
		var given request
		if err := decoder.Decode(&given); err == io.EOF {
			return writer.Flush()
		} else if err != nil {
			return err
		}
		result, err := read(waf, &given)
		if err != nil {
			return err
		}
		if err := encoder.Encode(result); err != nil {
			return err
		}
	}
}

func read(waf coraza.WAF, given *request) (*seen, error) {
	tx := waf.NewTransaction()
	defer tx.Close()
	tx.ProcessURI(given.URI, given.Method, given.Protocol)
	for _, header := range given.Headers {
		tx.AddRequestHeader(header[0], header[1])
	}
	tx.ProcessRequestHeaders()
	body := joined(given)
	if _, _, err := tx.WriteRequestBody(body); err != nil {
		return nil, err
	}
	if _, err := tx.ProcessRequestBody(); err != nil {
		return nil, err
	}
	found := result(tx)
	found.Body = body
	return found, nil
}

// joined returns the body as net/http gives it to Coraza: up to the first error in its chunks.
func joined(given *request) []byte {
	for _, header := range given.Headers {
		if strings.EqualFold(header[0], "transfer-encoding") && strings.EqualFold(header[1], "chunked") {
			body, _ := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(given.Body)))
			return body
		}
	}
	return given.Body
}

func result(tx types.Transaction) *seen {
	state := tx.(plugintypes.TransactionState)
	of := state.Variables()
	collections := map[string]collection.Collection{
		"method":            of.RequestMethod(),
		"uri":               of.RequestURI(),
		"uri_raw":           of.RequestURIRaw(),
		"path":              of.RequestFilename(),
		"basename":          of.RequestBasename(),
		"query":             of.QueryString(),
		"protocol":          of.RequestProtocol(),
		"request_line":      of.RequestLine(),
		"headers":           of.RequestHeaders(),
		"header_names":      of.RequestHeadersNames(),
		"cookies":           of.RequestCookies(),
		"cookie_names":      of.RequestCookiesNames(),
		"args":              of.Args(),
		"arg_names":         of.ArgsNames(),
		"query_args":        of.ArgsGet(),
		"query_arg_names":   of.ArgsGetNames(),
		"body_args":         of.ArgsPost(),
		"body_arg_names":    of.ArgsPostNames(),
		"body":              of.RequestBody(),
		"files":             of.Files(),
		"file_fields":       of.FilesNames(),
		"multipart_headers": of.MultipartPartHeaders(),
		"xml":               of.RequestXML(),
	}
	found := &seen{Values: map[string][]pair{}, Flags: []string{}}
	for target, collection := range collections {
		for _, data := range collection.FindAll() {
			target := target
			// XML is one collection of two expressions.
			if target == "xml" && data.Key() == "//@*" {
				target = "xml_attributes"
			}
			if _, isSingle := collection.(single); !isSingle || data.Value() != "" {
				found.Values[target] = append(found.Values[target], pair{[]byte(data.Key()), []byte(data.Value())})
			}
		}
	}
	flags := map[string]collection.Single{
		"reqbody_error":                   of.RequestBodyError(),
		"multipart_strict_error":          of.MultipartStrictError(),
		"multipart_duplicate_part_header": of.MultipartDuplicatePartHeader(),
		"multipart_invalid_quoting":       of.MultipartInvalidQuoting(),
		"arguments_limit_reached":         of.ArgumentsLimitReached(),
		"inbound_data_error":              of.InboundDataError(),
		"uri_parse_error":                 state.Collection(variables.URIParseError).(collection.Single),
	}
	for name, flag := range flags {
		if flag.Get() == "1" {
			found.Flags = append(found.Flags, name)
		}
	}
	found.Error = of.RequestBodyErrorMsg().Get()
	found.Processor = of.RequestBodyProcessor().Get()
	return found
}
