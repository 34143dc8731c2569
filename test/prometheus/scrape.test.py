#!/usr/bin/env python3
"""A real Prometheus scrapes a real broker, with the files of docker/.

promtool finds nothing wrong with /metrics nor with docker/prometheus.yml, the target is
up although it asks for a token, and every query of the Grafana dashboard returns data.
"""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(os.environ["GREENROOM_SOURCE_DIR"])
BINARY = os.environ["GREENROOM_BINARY"]
TOKEN = "a-token-for-the-scrape"
DEADLINE = time.monotonic() + 90


def tool(name):
    """Of build/prometheus, or an installed one."""
    unpacked = ROOT / "build/prometheus/usr/bin" / name
    return str(unpacked) if unpacked.exists() else name


def check(holds, what):
    if not holds:
        sys.exit(f"FAILED: {what}")
    print(f"ok: {what}")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as x:
        return x.getsockname()[1]


def get(url, token=None):
    request = urllib.request.Request(url)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


class Broker:
    def __init__(self):
        self.child = subprocess.Popen(
            [BINARY, "--port=0", "--inspect-port=0", "--log-format=json",
             "--room=lobby", '--room=odd"\\name', "--rooms-on-demand",
             f"--inspect-token={TOKEN}"],
            stdout=subprocess.PIPE, text=True)
        ports = {}
        while "inspecting" not in ports:
            line = json.loads(self.child.stdout.readline())
            if "port" in line:
                ports[line["message"]] = line["port"]
        self.port = ports["listening"]
        self.inspect_port = ports["inspecting"]

    def end(self):
        self.child.terminate()
        self.child.stdout.read()
        check(self.child.wait(timeout=20) == 0, "the broker drained")


class Traffic:
    """Members that send, so that there is something to count."""

    def __init__(self, port):
        self.members = [
            subprocess.Popen(
                [BINARY, "join", f"ws://127.0.0.1:{port}/room/{room}"],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
            for room in ("lobby", "lobby", "on-demand")]

    def go_on(self):
        for x in self.members:
            x.stdin.write("hello\n")
            x.stdin.flush()

    def end(self):
        for x in self.members:
            x.kill()
            x.wait()


class Prometheus:
    def __init__(self, folder, inspect_port):
        self.port = free_port()
        config = (ROOT / "docker/prometheus.yml").read_text()
        check("127.0.0.1:8001" in config, "docker/prometheus.yml names a target")
        config = config.replace("127.0.0.1:8001", f"127.0.0.1:{inspect_port}")
        config = config.replace("scrape_interval: 5s", "scrape_interval: 1s")
        config = config.replace("scrape_timeout: 4s", "scrape_timeout: 1s")
        # As the file says it is done where there is a token.
        config = re.sub(r"# (authorization:|  credentials_file:)", r"\1", config)
        config = config.replace("/etc/prometheus/greenroom-token", f"{folder}/token")
        pathlib.Path(folder, "token").write_text(TOKEN)
        pathlib.Path(folder, "prometheus.yml").write_text(config)
        self.log = open(pathlib.Path(folder, "log"), "w+")
        self.child = subprocess.Popen(
            [tool("prometheus"), f"--config.file={folder}/prometheus.yml",
             f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{self.port}"],
            stdout=self.log, stderr=subprocess.STDOUT)

    def query(self, expression):
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + \
            urllib.parse.urlencode({"query": expression})
        try:
            answer = json.loads(get(url))
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return []  # it is not ready yet
            sys.exit(f"FAILED: {expression}: {error.read().decode()}")
        except (urllib.error.URLError, ConnectionError):
            return []  # it is not up yet
        return answer["data"]["result"]

    def end(self):
        self.child.terminate()
        self.child.wait()


def queries():
    """Of the dashboard, with its variables as Grafana would fill them in."""
    dashboard = json.loads((ROOT / "docker/grafana/greenroom.json").read_text())
    found = []
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            text = target["expr"]
            for name, value in (("$__rate_interval", "15s"), ("$job", ".*"),
                                ("$instance", ".*")):
                text = text.replace(name, value)
            check("$" not in text, f"{panel['title']}: {text}")
            found.append((panel["title"], text))
    return found


def promtool(*words, text=None):
    done = subprocess.run([tool("promtool"), *words], capture_output=True, text=True,
                          input=text, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def look_at_metrics(broker):
    url = f"http://127.0.0.1:{broker.inspect_port}/metrics"
    try:
        get(url)
        check(False, "without a token there is nothing to see")
    except urllib.error.HTTPError as error:
        check(error.code == 401, "without a token there is nothing to see")
    status, words = promtool("check", "metrics", text=get(url, TOKEN))
    check(status == 0 and not words, f"promtool check metrics says nothing {words}")
    status, words = promtool("check", "config", ROOT / "docker/prometheus.yml")
    check(status == 0, f"promtool check config: {words}")


def look_at_queries(prometheus, traffic):
    waiting = queries()
    check(len(waiting) > 30, f"the dashboard has {len(waiting)} queries")
    while waiting:
        traffic.go_on()
        waiting = [x for x in waiting if not has_data(prometheus.query(x[1]))]
        if time.monotonic() > DEADLINE:
            prometheus.log.seek(0)
            sys.exit("FAILED: no data for\n"
                     + "\n".join(f"{title}: {text}" for title, text in waiting)
                     + "\n" + prometheus.log.read()[-4000:])
        time.sleep(0.2)  # a scrape is every second
    check(True, "every query of the dashboard has data")


def look_at_series(prometheus):
    up = prometheus.query('up{job="greenroom"}')
    check([x["value"][1] for x in up] == ["1"], "the target is up")
    rooms = prometheus.query("greenroom_room_members")
    names = sorted(x["metric"]["room"] for x in rooms)
    check(names == ["/others", "lobby", 'odd"\\name'], f"rooms: {names}")
    counted = prometheus.query("sum(greenroom_publications_total)")
    check(float(counted[0]["value"][1]) > 0, "publications are counted")


def has_data(result):
    return any(x["value"][1] != "NaN" for x in result)


def main():
    with contextlib.ExitStack() as stack:
        broker = Broker()
        stack.callback(broker.child.kill)
        look_at_metrics(broker)
        traffic = Traffic(broker.port)
        stack.callback(traffic.end)
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        prometheus = Prometheus(folder, broker.inspect_port)
        stack.callback(prometheus.end)
        look_at_queries(prometheus, traffic)
        look_at_series(prometheus)
        broker.end()


if __name__ == "__main__":
    main()
