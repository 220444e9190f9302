"""A Prometheus on loopback that scrapes members every second, with rules that wait no longer than that."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import yaml

from tests.reference import STOP_SECONDS_MAX, clean_environment, free_port

JOB: Final = "etcd"
WAIT: Final = "2s"
# Speed, not safety, as in production nobody would have it.
SCRAPE: Final = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}


def hasten(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rules with another waiting time; what they look at stays."""
    return {
        "groups": [{**group, "rules": [{**rule, "for": WAIT} for rule in group["rules"]]} for group in rules["groups"]]
    }


class Prometheus:
    """Use it as a context."""

    def __init__(self, program: Path, folder: Path, targets: Sequence[str], rules: Mapping[str, Any]) -> None:
        self._port = free_port()
        self._log_path = folder / "prometheus.log"
        (folder / "rules.yml").write_text(yaml.safe_dump(dict(rules)))
        settings = {
            "global": SCRAPE,
            "rule_files": ["rules.yml"],
            "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": list(targets)}]}],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
        self._command = [
            str(program),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Prometheus:
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=clean_environment())
        return self

    def __exit__(self, *exc_info: object) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS_MAX)

    def is_ready(self) -> bool:
        """Whether it answers. Raise RuntimeError when it ended."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"it ended: {self._log_path.read_text()[-2000:]}")
        try:
            return self._get("/-/ready")[0] == 200
        except OSError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an instant query."""
        result: list[dict[str, Any]] = self._api("query", query=expression)["result"]
        return result

    def firing(self) -> set[tuple[str, str]]:
        """Return alert and instance, "" where an alert is of more than one."""
        return {
            (alert["labels"]["alertname"], alert["labels"].get("instance", ""))
            for alert in self._api("alerts")["alerts"]
            if alert["state"] == "firing"
        }

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._api("rules")["groups"] for rule in group["rules"]]

    def _api(self, what: str, **arguments: str) -> dict[str, Any]:
        status, body = self._get(f"/api/v1/{what}?{urlencode(arguments)}")
        answer = json.loads(body)
        assert status == 200 and answer["status"] == "success", answer
        data: dict[str, Any] = answer["data"]
        return data

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()
