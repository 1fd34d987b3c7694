"""The SQL of docs/operating.md returns the figures that `onair viewers` prints for the same logs.

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
ONAIR = os.environ.get("ONAIR_PROGRAM", ROOT / "target/debug/onair")
BEGIN = datetime(2026, 1, 1, 23, 55, tzinfo=timezone.utc)
MINUTES = 12
# The minute without a log.
LOST = 7
EXTENSIONS = ("ts", "m4s", "mp4", "cmfv", "cmfa", "cmft", "m4v", "m4a", "aac", "ac3", "ec3", "vtt", "TS", "jpg")


def statement(number):
    blocks = re.findall(r"```sql\n(.*?)```", (ROOT / "docs/operating.md").read_text(), re.DOTALL)
    return blocks[number]


def requests():
    """The requests in order of time, over midnight."""
    dice = random.Random(1)
    rows = []
    for viewer in range(150):
        come = dice.randrange(MINUTES * 60)
        for second in range(come, min(come + dice.randrange(300), MINUTES * 60), 7):
            stream = ("live/show", "news")[viewer % 2]
            rendition = ("720p", "480p30", "audio")[second % 3]
            extension = EXTENSIONS[second % len(EXTENSIONS)]
            path = f"/{stream}/{rendition}/{second}.{extension}" if second % 5 else f"/{stream}/index.m3u8"
            status = 404 if second % 11 == 0 else 200
            rows.append((second, f"10.0.{viewer % 3}.{viewer % 120 + 1}", path, status))
    rows += [(minute * 60 + 30, "192.0.2.1", "/robots.txt", 200) for minute in range(MINUTES)]
    return sorted(row for row in rows if row[0] // 60 != LOST)


def viewers(log, window, *options):
    command = [ONAIR, "viewers", "--json", "--window-seconds", str(window), *options, log]
    lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    figures = [json.loads(line) for line in lines]
    return {(figure["minute"], figure["stream"]): figure["viewers"] for figure in figures if figure["viewers"]}


# "Create a table for CloudFront standard logs" and "Create a table for ALB access logs" of Athena's manual.
CLOUDFRONT = """
`date` DATE, time STRING, x_edge_location STRING, sc_bytes BIGINT, c_ip STRING, cs_method STRING, cs_host STRING,
cs_uri_stem STRING, sc_status INT, cs_referrer STRING, cs_user_agent STRING, cs_uri_query STRING, cs_cookie STRING,
x_edge_result_type STRING, x_edge_request_id STRING, x_host_header STRING, cs_protocol STRING, cs_bytes BIGINT,
time_taken FLOAT, x_forwarded_for STRING, ssl_protocol STRING, ssl_cipher STRING, x_edge_response_result_type STRING,
cs_protocol_version STRING, fle_status STRING, fle_encrypted_fields INT, c_port INT, time_to_first_byte FLOAT,
x_edge_detailed_result_type STRING, sc_content_type STRING, sc_content_len BIGINT, sc_range_start BIGINT,
sc_range_end BIGINT
"""
ALB = """
type STRING, time STRING, elb STRING, client_ip STRING, client_port INT, target_ip STRING, target_port INT,
request_processing_time DOUBLE, target_processing_time DOUBLE, response_processing_time DOUBLE, elb_status_code INT,
target_status_code STRING, received_bytes BIGINT, sent_bytes BIGINT, request_verb STRING, request_url STRING,
request_proto STRING, user_agent STRING, ssl_cipher STRING, ssl_protocol STRING, target_group_arn STRING,
trace_id STRING, domain_name STRING, chosen_cert_arn STRING, matched_rule_priority STRING,
request_creation_time STRING, actions_executed STRING, redirect_url STRING, lambda_error_reason STRING,
target_port_list STRING, target_status_code_list STRING, classification STRING, classification_reason STRING,
conn_trace_id STRING
"""


def table(engine, name, columns, rows):
    """A table with all columns that AWS names. These rows fill some of them."""
    engine.execute(f"CREATE TABLE {name} ({columns.replace('`', chr(34))})")
    names = ", ".join(f'"{column}"' for column in rows[0])
    engine.executemany(
        f"INSERT INTO {name} ({names}) VALUES ({', '.join('?' * len(rows[0]))})", [list(row.values()) for row in rows]
    )


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
    columns = ("date", "time", "c_ip", "cs_method", "cs_uri_stem", "sc_status")
    rows = []
    for second, address, path, status in requests():
        at = BEGIN + timedelta(seconds=second)
        row = (f"{at:%Y-%m-%d}", f"{at:%H:%M:%S}", address, "GET", path, status)
        rows.append(dict(zip(columns, row)))
    fields = ["#Version: 1.0", "#Fields: date time c-ip cs-method cs-uri-stem sc-status"]
    log.write_text("\n".join(fields + ["\t".join(map(str, row.values())) for row in rows]))
    table(engine, "cloudfront_standard_logs", CLOUDFRONT, rows)
    told = figures(engine, statement(0))
    assert told == viewers(log, 60)
    assert len(told) > 2 * (MINUTES - 2)


def test_of_a_load_balancers_logs_over_three_minutes(engine, tmp_path):
    log = tmp_path / "log"
    lines, rows = [], []
    columns = ("time", "client_ip", "elb_status_code", "request_verb", "request_url")
    for second, address, path, status in requests():
        at = f"{BEGIN + timedelta(seconds=second):%Y-%m-%dT%H:%M:%S}.186641Z"
        url = f"https://show.example:443{path}?session=1"
        lines.append(
            f'https {at} app/web/1 {address}:2817 10.0.0.66:80 0.086 0.048 0.037 {status} {status} 0 57 "GET {url} HTTP/2.0"'
            ' "Player" - - arn "Root=1-5" "-" "-" 0'
        )
        rows.append(dict(zip(columns, (at, address, status, "GET", url))))
    log.write_text("\n".join(lines))
    table(engine, "alb_access_logs", ALB, rows)
    told = figures(engine, statement(1))
    assert told == viewers(log, 180)
    assert len(told) > 2 * (MINUTES - 2)
