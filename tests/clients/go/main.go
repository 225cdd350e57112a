// go-redis under load: the same arguments, files and lines as ../python/paced.py.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	inFlight = 400
	keys     = 300
	setEvery = 5
)

type sent struct {
	N  int     `json:"n"`
	At float64 `json:"at"`
}

type ended struct {
	N     int     `json:"n"`
	Ms    float64 `json:"ms"`
	Error *string `json:"error"`
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func main() {
	mode, host, port, folder := os.Args[1], os.Args[2], os.Args[3], os.Args[6]
	rate, _ := strconv.ParseFloat(os.Args[4], 64)
	size, _ := strconv.Atoi(os.Args[5])
	value := make([]byte, size)
	_, _ = rand.Read(value)
	addr, password := net.JoinHostPort(host, port), os.Getenv("REDIS_PASSWORD")
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{addr}, Username: "app", Password: password})
	if mode == "recommended" {
		client = connect(addr, password)
	}

	var out sync.Mutex
	say := func(line any) {
		out.Lock()
		defer out.Unlock()
		_ = json.NewEncoder(os.Stdout).Encode(line)
	}
	end := func(number int, began time.Time, err error) {
		line := ended{N: number, Ms: float64(time.Since(began).Microseconds()) / 1000}
		if err != nil {
			text := fmt.Sprintf("%T: %v", err, err)
			line.Error = &text
		}
		say(line)
	}
	one := func(number int, op, key string, began time.Time) {
		send := func(ctx context.Context) error {
			if op == "set" {
				return client.Set(ctx, key, value, 300*time.Second).Err()
			}
			return client.Get(ctx, key).Err()
		}
		var err error
		if mode == "recommended" {
			err = answered(context.Background(), send)
		} else {
			err = send(context.Background())
		}
		if err == redis.Nil {
			err = nil
		}
		end(number, began, err)
	}

	unanswered := make(chan struct{}, inFlight)
	ticker := time.NewTicker(time.Duration(float64(time.Second) / rate))
	for number := 0; !exists(folder + "/stop"); <-ticker.C {
		if exists(folder + "/asleep") {
			continue
		}
		op, key, began := "get", fmt.Sprintf("image:%d", number%keys), time.Now()
		if number%setEvery == 0 {
			op = "set"
		}
		number++
		n := number
		say(sent{N: n, At: float64(began.UnixMicro()) / 1000})
		select {
		case unanswered <- struct{}{}:
			go func() { one(n, op, key, began); <-unanswered }()
		default:
			end(n, began, fmt.Errorf("not sent: too many unanswered"))
		}
	}
}
