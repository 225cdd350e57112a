package main

// settings: begin
import (
	"cmp"
	"context"
	"errors"
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
		var reply redis.Error // an error that a node answered; redis.Nil is one, too
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
		MaxRedirects:               int(20 * patience().Seconds()), // attempts after the first; patience ends them before
		MaxRetryBackoff:            pause,
		ClusterStateReloadInterval: 1 * time.Second, // the default is 60 s
		FailingTimeoutSeconds:      2,               // how long a node that did not answer is passed over; the default is 15
	})
}

// use: answered(ctx, func(ctx context.Context) (err error) { image, err = cache.Get(ctx, key).Bytes(); return err })
// settings: end
