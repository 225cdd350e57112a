package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// How long a request is tried: 2 s outlast a crash, 15 s a failover.
func patience() time.Duration {
	seconds, err := strconv.ParseFloat(cmp.Or(os.Getenv("REDIS_PATIENCE_S"), "2"), 64)
	if err != nil {
		panic("REDIS_PATIENCE_S is a number of seconds: " + err.Error())
	}
	return time.Duration(seconds * float64(time.Second))
}

const pause = 200 * time.Millisecond

// What a request gives. go-redis does not try it again when it could not learn the nodes.
func answered(ctx context.Context, send func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience())
	defer cancel()
	for {
		err := send(ctx)
		var reply redis.Error
		if err == nil || errors.As(err, &reply) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// How this application talks to the cache. The time-outs and retries are those of docs/clients.md.
func connect(addr string) (*redis.ClusterClient, error) {
	verified, err := trusted(setting("REDIS_CA_FILE", "/etc/redis-cache/ca.crt"))
	if err != nil {
		return nil, err
	}
	nearest := setting("REDIS_READS_FROM", "nearest") == "nearest"
	return redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:                      []string{addr},
		CredentialsProvider:        credentials, // asked at every new connection
		TLSConfig:                  verified,
		ContextTimeoutEnabled:      true,
		DialTimeout:                500 * time.Millisecond,
		DialerRetries:              1,
		ReadTimeout:                500 * time.Millisecond,
		WriteTimeout:               500 * time.Millisecond,
		MaxRedirects:               int(20 * patience().Seconds()),
		MaxRetryBackoff:            pause,
		ClusterStateReloadInterval: 1 * time.Second,
		FailingTimeoutSeconds:      2,
		// Reads go to the copy of a shard that answers PINGs first: one in this zone, where there is one. It can be a
		// moment behind: a miss, or an image that was replaced just now. REDIS_READS_FROM=master is for images that are
		// replaced under their name and must never be the old ones.
		ReadOnly:       nearest,
		RouteByLatency: nearest,
		PoolSize:       32, // connections to each node
	}), nil
}

// Kubernetes renews the file when the Secret changes.
func credentials() (string, string) {
	text, err := os.ReadFile(setting("REDIS_PASSWORD_FILE", "/etc/redis-cache/password"))
	if err != nil {
		return "", "" // the cache refuses it, which is counted
	}
	return setting("REDIS_USER", "app"), string(text)
}

// The authority that signed the nodes' certificates; nil, which is without TLS, where there is no such file.
func trusted(path string) (*tls.Config, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
