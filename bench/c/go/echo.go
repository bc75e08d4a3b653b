package main

import (
	"net"
	"time"
)

const echoBytes = 4096

func echo(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, echoBytes)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if _, err := conn.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func serve() error {
	time.AfterFunc(time.Hour, func() {})
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	say(map[string]int{"port": listener.Addr().(*net.TCPAddr).Port})
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go echo(conn)
	}
}
