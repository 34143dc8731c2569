// Rooms as most Go programs have them: a goroutine for each room that owns its
// members, two goroutines for each connection, a channel of 256 messages between
// them, and whoever does not empty it is dropped.
//
//	go_hub PORT [THREADS]
package main

import (
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	queueMax  = 256
	writeWait = 10 * time.Second
	pongWait  = 60 * time.Second
	pingEvery = 25 * time.Second
)

type message struct {
	kind  int
	bytes []byte
}

type member struct {
	socket *websocket.Conn
	queue  chan message
}

// A room lives as long as it has members.
type room struct {
	join    chan *member
	leave   chan *member
	publish chan message
	users   int // guarded by rooms.mutex
}

var rooms = struct {
	mutex  sync.Mutex
	byName map[string]*room
}{byName: map[string]*room{}}

func enter(name string) *room {
	rooms.mutex.Lock()
	defer rooms.mutex.Unlock()
	r := rooms.byName[name]
	if r == nil {
		r = &room{make(chan *member), make(chan *member), make(chan message), 0}
		rooms.byName[name] = r
		go r.run()
	}
	r.users++
	return r
}

func exit(name string, r *room) {
	rooms.mutex.Lock()
	defer rooms.mutex.Unlock()
	r.users--
	if r.users == 0 {
		delete(rooms.byName, name)
		close(r.publish)
	}
}

func (r *room) run() {
	members := map[*member]struct{}{}
	drop := func(m *member) {
		if _, found := members[m]; found {
			delete(members, m)
			close(m.queue)
		}
	}
	for {
		select {
		case m := <-r.join:
			members[m] = struct{}{}
		case m := <-r.leave:
			drop(m)
		case what, open := <-r.publish:
			if !open {
				return
			}
			for m := range members {
				select {
				case m.queue <- what:
				default:
					drop(m)
				}
			}
		}
	}
}

func (m *member) read(r *room) {
	m.socket.SetReadLimit(1 << 20)
	alive := func(string) error {
		return m.socket.SetReadDeadline(time.Now().Add(pongWait))
	}
	alive("")
	m.socket.SetPongHandler(alive)
	for {
		kind, bytes, err := m.socket.ReadMessage()
		if err != nil {
			return
		}
		r.publish <- message{kind, bytes}
	}
}

func (m *member) write() {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	defer m.socket.Close()
	for {
		next := message{kind: websocket.PingMessage}
		select {
		case what, open := <-m.queue:
			next = what
			if !open {
				next = message{kind: websocket.CloseMessage}
			}
		case <-ping.C:
		}
		m.socket.SetWriteDeadline(time.Now().Add(writeWait))
		err := m.socket.WriteMessage(next.kind, next.bytes)
		if err != nil || next.kind == websocket.CloseMessage {
			return
		}
	}
}

var upgrader = websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024}

func serve(answer http.ResponseWriter, request *http.Request) {
	socket, err := upgrader.Upgrade(answer, request, nil)
	if err != nil {
		return
	}
	name := request.URL.Path
	m := &member{socket, make(chan message, queueMax)}
	r := enter(name)
	r.join <- m
	go m.write()
	go func() {
		m.read(r)
		r.leave <- m
		exit(name, r)
	}()
}

func main() {
	if len(os.Args) > 2 {
		threads, err := strconv.Atoi(os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		runtime.GOMAXPROCS(threads)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listener, http.HandlerFunc(serve)))
}
