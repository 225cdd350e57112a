package main

// settings: begin
import (
	"time"

	"github.com/redis/go-redis/v9"
)

// Of a request with its retries: give each one context.WithTimeout(ctx, requestTimeout).
const requestTimeout = 2 * time.Second

func connect(addr, password string) *redis.ClusterClient {
	return redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:                      []string{addr},
		Username:                   "app",
		Password:                   password,
		ContextTimeoutEnabled:      true, // without this, the context's deadline does not end an attempt
		DialTimeout:                500 * time.Millisecond,
		DialerRetries:              1,                      // the default is 5 times DialTimeout
		ReadTimeout:                500 * time.Millisecond, // of an attempt; the first two ask the same node
		WriteTimeout:               500 * time.Millisecond,
		MaxRedirects:               9, // attempts after the first; requestTimeout ends them
		MaxRetryBackoff:            200 * time.Millisecond,
		ClusterStateReloadInterval: 1 * time.Second, // the default is 60 s
		FailingTimeoutSeconds:      2,               // how long a node that did not answer is passed over; the default is 15
	})
}

// settings: end
