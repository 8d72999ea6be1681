"""A bare relay: what a thread for each connection can do when it checks nothing.

Each message is sent by itself: to the recipient, and back. That is the same job as the
server's. Any other frame is taken for a CREATE, but for LIST, which names nobody.
"""

import socket
import threading

HEADER_SIZE = 42
LIST, SEND, RESPONSE, LISTRESPONSE = 1, 2, 6, 7


def relay(connection: socket.socket, online: dict[bytes, socket.socket]) -> None:
    """Pass on what comes on one connection."""
    held = b""
    while octets := connection.recv(65536):
        octets = held + octets
        at = 0
        while at + HEADER_SIZE <= len(octets):
            end = at + HEADER_SIZE + int.from_bytes(octets[at + 2 : at + HEADER_SIZE])
            if end > len(octets):
                break
            frame = octets[at:end]
            if frame[1] == SEND:
                online[frame[HEADER_SIZE:].split(b"|||", 2)[1]].sendall(frame)
                connection.sendall(frame)
            else:
                online[frame[HEADER_SIZE:]] = connection
                reply = LISTRESPONSE if frame[1] == LIST else RESPONSE
                connection.sendall(bytes([0, reply]) + bytes(40))
            at = end
        held = octets[at:]


def serve(connection: socket.socket, online: dict[bytes, socket.socket]) -> None:
    """Relay for one connection from its beginning to its end."""
    with connection:
        relay(connection, online)


def main() -> None:
    """Serve until the process is ended."""
    online: dict[bytes, socket.socket] = {}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=serve, args=(connection, online))
            thread.start()


if __name__ == "__main__":
    main()
