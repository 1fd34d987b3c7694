"""The SQL of docs/operating.md says what `viewers` says of the same logs.

Athena is not at hand: DuckDB runs it, on tables of the shape that AWS documents. What Athena calls otherwise is a macro.
"""

import json
import os
import pathlib
import random
import re
import subprocess
from datetime import datetime, timedelta, timezone

import duckdb
import pytest

ROOT = pathlib.Path(__file__).parents[2]
VIEWERS = os.environ.get("ONAIR_VIEWERS", ROOT / "target/debug/viewers")
BEGIN = datetime(2026, 1, 1, 23, 55, tzinfo=timezone.utc)
MINUTES = 12
# Of this minute there is no log.
LOST = 7


def statement(number):
    blocks = re.findall(r"```sql\n(.*?)```", (ROOT / "docs/operating.md").read_text(), re.DOTALL)
    return blocks[number]


def requests():
    """Who asked for what, in the order of time, over midnight."""
    dice = random.Random(1)
    rows = []
    for viewer in range(150):
        come = dice.randrange(MINUTES * 60)
        for second in range(come, min(come + dice.randrange(300), MINUTES * 60), 7):
            stream = ("live/show", "news")[viewer % 2]
            rendition = ("720p", "480p30", "audio")[second % 3]
            path = f"/{stream}/{rendition}/{second}.ts" if second % 5 else f"/{stream}/index.m3u8"
            status = 404 if second % 11 == 0 else 200
            rows.append((second, f"10.0.{viewer % 3}.{viewer % 120 + 1}", path, status))
    rows += [(minute * 60 + 30, "192.0.2.1", "/robots.txt", 200) for minute in range(MINUTES)]
    return sorted(row for row in rows if row[0] // 60 != LOST)


def viewers(log, window, *options):
    command = [VIEWERS, "--json", "--window-seconds", str(window), *options, log]
    lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    figures = [json.loads(line) for line in lines]
    return {(figure["minute"], figure["stream"]): figure["viewers"] for figure in figures if figure["viewers"]}


@pytest.fixture
def engine():
    connection = duckdb.connect()
    connection.execute("CREATE MACRO regexp_like(text, pattern) AS regexp_matches(text, pattern)")
    yield connection
    connection.close()


def figures(engine, sql):
    rows = engine.execute(sql).fetchall()
    minute = lambda value: value if isinstance(value, str) else value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {(minute(at), stream.strip("/")): number for at, stream, number in rows}


def test_of_cloudfronts_logs(engine, tmp_path):
    log = tmp_path / "log"
    lines = ["#Version: 1.0", "#Fields: date time c-ip cs-method cs-uri-stem sc-status"]
    engine.execute(
        'CREATE TABLE cloudfront_standard_logs ("date" DATE, "time" VARCHAR, request_ip VARCHAR, method VARCHAR,'
        " uri VARCHAR, status INT)"
    )
    for second, address, path, status in requests():
        at = BEGIN + timedelta(seconds=second)
        row = [f"{at:%Y-%m-%d}", f"{at:%H:%M:%S}", address, "GET", path, status]
        lines.append("\t".join(map(str, row)))
        engine.execute("INSERT INTO cloudfront_standard_logs VALUES (?, ?, ?, ?, ?, ?)", row)
    log.write_text("\n".join(lines))
    told = figures(engine, statement(0))
    assert told == viewers(log, 60)
    assert len(told) > 2 * (MINUTES - 2)


def test_of_a_load_balancers_logs_over_three_minutes(engine, tmp_path):
    log = tmp_path / "log"
    lines = []
    engine.execute(
        'CREATE TABLE alb_access_logs ("time" VARCHAR, client_ip VARCHAR, elb_status_code INT, request_verb VARCHAR,'
        " request_url VARCHAR)"
    )
    for second, address, path, status in requests():
        at = f"{BEGIN + timedelta(seconds=second):%Y-%m-%dT%H:%M:%S}.186641Z"
        url = f"https://show.example:443{path}?session=1"
        lines.append(
            f'https {at} app/web/1 {address}:2817 10.0.0.66:80 0.086 0.048 0.037 {status} {status} 0 57 "GET {url} HTTP/2.0"'
            ' "Player" - - arn "Root=1-5" "-" "-" 0'
        )
        engine.execute("INSERT INTO alb_access_logs VALUES (?, ?, ?, ?, ?)", [at, address, status, "GET", url])
    log.write_text("\n".join(lines))
    told = figures(engine, statement(1))
    assert told == viewers(log, 180)
    assert len(told) > 2 * (MINUTES - 2)
