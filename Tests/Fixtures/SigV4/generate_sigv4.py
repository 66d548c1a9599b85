#!/usr/bin/env python3
"""Writes sigv4.json: requests signed by botocore, for SigV4BotocoreTests. Usage: python3 generate_sigv4.py"""
import datetime
import json
import pathlib
import urllib.parse
from unittest import mock

import botocore.auth
import botocore.awsrequest
import botocore.credentials

NOW = datetime.datetime(2025, 12, 31, 23, 59, 59, tzinfo=datetime.timezone.utc)
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
KEYS = [
    "plain", "a/b/c", "sp ace", "plus+plus", "per%cent", "a%41", "q?x=1&y=2", "hash#tag", "d//e", "/lead", "trail/",
    ".", "..", "x/../y", "./z", "tilde~", "star*", "quote'\"", "<&>", "ü/é/日本", "e\u0301", "\U0001f600",
    "tab\t", "nl\n", "ctl\x01", "semi;colon:at@", "br[ack]et{s}", "back\\slash", "a=b", "comma,dot.", "x" * 1024,
]
QUERIES = [
    [], [["uploads", ""]], [["partNumber", "7"], ["uploadId", "a/b+c=="]],
    [["list-type", "2"], ["prefix", "ü a/+"], ["delimiter", "/"], ["max-keys", "1000"], ["encoding-type", "url"]],
    [["continuation-token", "1/2+3=& ~"], ["list-type", "2"]], [["B", "2"], ["a", "1"], ["a", "0"], ["A", "3"]],
]
HEADERS = [
    [], [["If-Match", '"d41d8cd98f00b204e9800998ecf8427e"'], ["Range", "bytes=0-9"]],
    [["x-amz-meta-mode", "33188"], ["x-amz-meta-text", "two  blanks   here"], ["If-None-Match", "*"]],
    [["x-amz-copy-source", "/bucket/sp%20ace"], ["Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="]],
]


def sign(method, key, query, headers, payload_hash, token):
    path = "/bucket/" + urllib.parse.quote(key, safe="/~")
    encoded = sorted((urllib.parse.quote(n, safe="~"), urllib.parse.quote(v, safe="~")) for n, v in query)
    text = "&".join(f"{n}={v}" for n, v in encoded)
    url = "http://127.0.0.1:8333" + path + ("?" + text if text else "")
    request = botocore.awsrequest.AWSRequest(method=method, url=url)
    for name, value in headers:
        request.headers[name] = value
    request.headers["X-Amz-Content-SHA256"] = payload_hash
    credentials = botocore.credentials.Credentials(
        "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", token)
    auth = botocore.auth.S3SigV4Auth(credentials, "s3", "eu-central-1")
    auth.payload = lambda _: payload_hash
    with mock.patch("botocore.auth.get_current_datetime", return_value=NOW):
        auth.add_auth(request)
    return dict(
        method=method, key=key, query=query, headers=headers, payloadHash=payload_hash, sessionToken=token, url=url,
        authorization=request.headers["Authorization"])


def main():
    vectors = []
    for index, key in enumerate(KEYS):
        vectors.append(sign(
            ["GET", "PUT", "POST", "DELETE", "HEAD"][index % 5], key, QUERIES[index % len(QUERIES)],
            HEADERS[index % len(HEADERS)], EMPTY if index % 2 else "UNSIGNED-PAYLOAD",
            "token/with+signs==" if index % 3 == 0 else None))
    for query in QUERIES:
        for headers in HEADERS:
            vectors.append(sign("GET", "k", query, headers, EMPTY, None))
    target = pathlib.Path(__file__).parent / "sigv4.json"
    target.write_text(json.dumps(vectors, indent=1, ensure_ascii=True) + "\n")


main()
