// Serves images over HTTP: from the cache, or on a miss from where they come from.
//
//	GET /images/NAME    the image
//	GET /metrics        counters and latencies, for Prometheus
//
// Environment: REDIS_ENDPOINT (the stack output `endpoint`), ORIGIN (a URL that has /NAME), LISTEN (port),
// TTL_SECONDS, and the files of settings.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"
)

var (
	lookups = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "image_lookups_total", Help: "Requests for an image, by how they were answered"}, []string{"result"})
	cacheErrors = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "image_cache_errors_total", Help: "Commands that the cache did not answer"}, []string{"command"})
	cacheSeconds = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "image_cache_seconds", Help: "How long commands took, retries included"}, []string{"command"})
)

var errNotFound = errors.New("no such image")

// Other names are not found. Nothing in these is escaped, so that nobody reads them in two ways, and none of them leads
// out of the origin's folder.
var imagePath = regexp.MustCompile(`^/images/([A-Za-z0-9_-][A-Za-z0-9._-]*)$`)

// Images by name. However many ask for one at a time, it is looked up once.
type images struct {
	cache    *redis.ClusterClient
	origin   string
	fetching *http.Client
	ttl      time.Duration
	lookedUp singleflight.Group
	unstored chan struct{} // while the cache takes no writes, so many images wait to be stored; more are not
	storing  sync.Map      // their names and images: who asks for one gets it from here, and its origin is left alone
}

func (i *images) get(name string) ([]byte, error) {
	if image, ok := i.storing.Load(name); ok {
		lookups.WithLabelValues("coalesced").Inc()
		return image.([]byte), nil
	}
	mine := false
	image, err, _ := i.lookedUp.Do(name, func() (any, error) {
		mine = true
		return i.lookUp(name)
	})
	if !mine {
		lookups.WithLabelValues("coalesced").Inc()
	}
	if err != nil {
		return nil, err
	}
	return image.([]byte), nil
}

func (i *images) lookUp(name string) ([]byte, error) {
	key := "image:" + name
	var image []byte
	if i.command("get", func(ctx context.Context) (err error) {
		image, err = i.cache.Get(ctx, key).Bytes()
		return err
	}) {
		lookups.WithLabelValues("hit").Inc()
		return image, nil
	}
	lookups.WithLabelValues("miss").Inc()
	image, err := i.fetch(name)
	if err != nil {
		return nil, err
	}
	i.store(name, key, image)
	return image, nil
}

// Nobody waits until an image is stored: while a master is lost that may be long.
func (i *images) store(name, key string, image []byte) {
	select {
	case i.unstored <- struct{}{}:
		i.storing.Store(name, image)
		go func() {
			i.command("set", func(ctx context.Context) error { return i.cache.Set(ctx, key, image, i.ttl).Err() })
			i.storing.Delete(name)
			<-i.unstored
		}()
	default:
		cacheErrors.WithLabelValues("set").Inc()
	}
}

// Whether the cache did as it was asked. Without its cache the application still works.
func (i *images) command(command string, send func(context.Context) error) bool {
	began := time.Now()
	// Not the context of one request: others wait for the same answer.
	err := answered(context.Background(), send)
	cacheSeconds.WithLabelValues(command).Observe(time.Since(began).Seconds())
	if err != nil && !errors.Is(err, redis.Nil) {
		cacheErrors.WithLabelValues(command).Inc()
	}
	return err == nil
}

func (i *images) fetch(name string) ([]byte, error) {
	answer, err := i.fetching.Get(i.origin + "/" + name)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNotFound {
		return nil, errNotFound
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the origin answered %d", answer.StatusCode)
	}
	return io.ReadAll(answer.Body)
}

func (i *images) ServeHTTP(to http.ResponseWriter, request *http.Request) {
	asked := imagePath.FindStringSubmatch(request.URL.EscapedPath())
	if asked == nil {
		http.Error(to, "/images/NAME or /metrics", http.StatusNotFound)
		return
	}
	image, err := i.get(asked[1])
	switch {
	case errors.Is(err, errNotFound):
		http.Error(to, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(to, err.Error(), http.StatusBadGateway)
	default:
		to.Header().Set("Content-Type", "image/jpeg")
		to.Header().Set("Content-Length", strconv.Itoa(len(image)))
		_, _ = to.Write(image) // who asked may have gone
	}
}

// As many idle connections stay as requests to the origin are usual at a time; Go itself keeps two.
func fetching() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 32
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func main() {
	cache, err := connect(os.Getenv("REDIS_ENDPOINT"))
	if err != nil {
		log.Fatal(err)
	}
	seconds, err := strconv.Atoi(setting("TTL_SECONDS", "300"))
	if err != nil {
		log.Fatalf("TTL_SECONDS: %v", err)
	}
	http.Handle("GET /images/", &images{
		cache:    cache,
		origin:   os.Getenv("ORIGIN"),
		fetching: fetching(),
		ttl:      time.Duration(seconds) * time.Second,
		unstored: make(chan struct{}, 64),
	})
	http.Handle("GET /metrics", promhttp.Handler())
	log.Fatal(http.ListenAndServe(":"+setting("LISTEN", "8080"), nil))
}
