"""natsclient: NATS and JetStream from the Python standard library, for the tests and the demonstration.

An independent client: it shares no line with the C library that penstock uses. One thread, blocking, no reconnect.
"""
import json
import os
import socket
import time


class NatsError(Exception):
    pass


class Message:
    def __init__(self, subject, reply, head, data):
        self.subject, self.reply, self.data = subject, reply, data
        first, *lines = head.decode().split("\r\n") if head else [""]
        self.status = first[9:12]
        self.headers = dict(line.split(": ", 1) for line in lines if ": " in line)


class Nats:
    def __init__(self, port, host="127.0.0.1", timeout=10.0, **credentials):
        self.socket = socket.create_connection((host, port), timeout)
        self.bytes = b""
        self.inbox = f"_INBOX.{os.getpid()}{os.urandom(6).hex()}"
        self.asked = 0
        self.info = json.loads(self._line()[5:])
        hello = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "lang": "python",
                 "version": "0", "name": "penstock-test", **credentials}
        self._send(b"CONNECT %s\r\nSUB %s.* 1\r\nPING\r\n" % (json.dumps(hello).encode(), self.inbox.encode()))
        self._pong()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- core ----

    def publish(self, subject, data, headers=None, reply=""):
        self._send(self._frame(subject, data, headers, reply))

    def flush(self):
        self._send(b"PING\r\n")
        self._pong()

    def request(self, subject, data=b"", headers=None, timeout=10.0):
        self.asked += 1
        inbox = f"{self.inbox}.{self.asked}"
        self.publish(subject, data, headers, inbox)
        end = time.monotonic() + timeout
        while True:
            message = self._next(end)
            if message is None:
                raise NatsError(f"no answer on {subject}")
            if message.subject == inbox:
                if message.status == "503":
                    raise NatsError(f"nobody answers on {subject}")
                return message

    # ---- JetStream ----

    def api(self, verb, **request):
        answer = json.loads(self.request(f"$JS.API.{verb}", json.dumps(request).encode() if request else b"").data)
        if "error" in answer:
            raise NatsError(f"{verb}: {answer['error'].get('description')}")
        return answer

    def add_stream(self, name, *subjects, **settings):
        return self.api(f"STREAM.CREATE.{name}", name=name, subjects=list(subjects), **{"storage": "file", **settings})

    def stream_state(self, name):
        return self.api(f"STREAM.INFO.{name}")["state"]

    def put(self, subject, payloads, window=500):
        """Publishes into a stream, at most `window` unacknowledged; returns when the server has them all."""
        payloads, sent, acked = iter(payloads), 0, 0
        self.asked += 1
        inbox, more = f"{self.inbox}.{self.asked}", True
        while more or acked < sent:
            frames = []
            while more and sent + len(frames) < acked + window:
                payload = next(payloads, None)
                more = payload is not None
                if more:
                    frames.append(self._frame(subject, payload, None, inbox))
            self._send(b"".join(frames))
            sent += len(frames)
            if acked < sent:
                answer = self._next(time.monotonic() + 30)
                if answer is None or answer.status or b'"error"' in answer.data:
                    raise NatsError(f"{subject}: not taken: {answer.data or answer.status if answer else 'no answer'}")
                acked += 1
        return sent

    def take(self, stream, subject=None, batch=5000):
        """All messages of a stream (on a subject) so far, oldest first, by a consumer that leaves no trace."""
        config = {"ack_policy": "none", "deliver_policy": "all", "inactive_threshold": 30_000_000_000}
        if subject:
            config["filter_subject"] = subject
        made = self.api(f"CONSUMER.CREATE.{stream}", stream_name=stream, config=config)
        taken, left = [], made["num_pending"]
        while left > 0:
            self.asked += 1
            request = json.dumps({"batch": min(batch, left), "expires": 10_000_000_000}).encode()
            self.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{made['name']}", request,
                         reply=f"{self.inbox}.{self.asked}")
            for _ in range(min(batch, left)):
                message = self._next(time.monotonic() + 10)
                if message is None or message.status:
                    raise NatsError(f"{stream}: {left} messages did not come")
                taken.append(message)
                left -= 1
        self.api(f"CONSUMER.DELETE.{stream}.{made['name']}")
        return taken

    # ---- the wire ----

    @staticmethod
    def _frame(subject, data, headers, reply):
        head = b"NATS/1.0\r\n" + b"".join(f"{key}: {value}\r\n".encode() for key, value in headers.items()) + b"\r\n" \
            if headers else b""
        verb = b"HPUB" if headers else b"PUB"
        sizes = b"%d %d" % (len(head), len(head) + len(data)) if headers else b"%d" % len(data)
        return b"%s %s %s %s\r\n%s%s\r\n" % (verb, subject.encode(), reply.encode(), sizes, head, data)

    def _send(self, frames):
        self.socket.sendall(frames)

    def _more(self):
        got = self.socket.recv(1 << 16)
        if not got:
            raise NatsError("the server closed the connection: " + self.bytes[-200:].decode("utf-8", "replace"))
        self.bytes += got

    def _line(self):
        while b"\r\n" not in self.bytes:
            self._more()
        line, self.bytes = self.bytes.split(b"\r\n", 1)
        return line

    def _exactly(self, count):
        while len(self.bytes) < count:
            self._more()
        data, self.bytes = self.bytes[:count], self.bytes[count:]
        return data

    def _pong(self):
        while True:
            line = self._line()
            if line == b"PONG":
                return
            if line.startswith(b"-ERR"):
                raise NatsError(line.decode())

    def _next(self, end):
        """The next message, or None when the time is up."""
        while True:
            left = end - time.monotonic()
            if b"\r\n" not in self.bytes and left <= 0:
                return None
            self.socket.settimeout(max(left, 0.01))
            try:
                line = self._line()
            except TimeoutError:
                return None
            finally:
                self.socket.settimeout(10)
            verb, _, rest = line.partition(b" ")
            if verb in (b"MSG", b"HMSG"):
                return self._message(rest.decode().split(" "), verb == b"HMSG")
            if verb == b"PING":
                self._send(b"PONG\r\n")
            elif verb == b"-ERR":
                raise NatsError(line.decode())

    def _message(self, words, has_head):
        size = int(words.pop())
        head_size = int(words.pop()) if has_head else 0
        payload = self._exactly(size + 2)[:-2]
        return Message(words[0], words[2] if len(words) > 2 else "", payload[:head_size], payload[head_size:])
