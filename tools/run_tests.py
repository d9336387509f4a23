#!/usr/bin/env python3
"""Builds and runs the tests in tiers; prints one line per suite, the ten slowest tests and a closing count.

--quick: unit tests and policy (no Python oracle). Default: every kind of proof, with seeded and rotating counts.
--all: the full counts; also writes docs/results.json, which is compiled into `rialto models`.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import namedtuple
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "test-results"
RESULTS = ROOT / "docs" / "results.json"
Test = namedtuple("Test", "suite name seconds status cells")


def read_junit(suite, path):
    """The tests of a junit file; `cells` are the (family, column) cells of `rialto models` that a test proves."""
    tests = []
    for case in ET.parse(path).iter("testcase"):
        tags = {child.tag for child in case}
        status = "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"
        if case.get("status") == "notrun":
            continue
        cells = [p.get("value") for p in case.iter("property") if p.get("name") == "cell"]
        name = f"{case.get('classname', '')}.{case.get('name')}"
        tests.append(Test(suite, name, float(case.get("time") or 0), status, cells))
    return tests


class Runner:
    def __init__(self, args):
        self.args = args
        self.tests = []
        self.seed = args.seed
        self.env = dict(os.environ, RIALTO_BIN=str(ROOT / "build/release/bin"), RIALTO_TEST_SEED=str(args.seed))
        if args.all:
            self.env["RIALTO_TEST_ALL"] = "1"
        OUT.mkdir(parents=True, exist_ok=True)

    def wanted(self, suite):
        return not self.args.k or self.args.k in suite or suite in ("unit", "oracle")

    def call(self, command, log, env=None, timeout=None):
        with open(log, "ab") as out:
            try:
                done = subprocess.run(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, env=env or self.env, timeout=timeout)
                return done.returncode == 0
            except subprocess.TimeoutExpired:
                out.write(f"\nstopped after {timeout} s\n".encode())
                return False

    def suite(self, name, body):
        """Runs body(log) -> list of Test, and says how it went."""
        if not self.wanted(name):
            return
        log = ROOT / "build/logs" / f"test-{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
        print(f"  {name:<44}", end="", flush=True)
        start = time.monotonic()
        tests = body(log) or [Test(name, "ran nothing", 0, "failed", [])]
        self.tests += tests
        count = {status: sum(t.status == status for t in tests) for status in ("passed", "failed", "skipped")}
        line = f"{count['passed']:5} passed"
        line += f", {count['failed']} FAILED" if count["failed"] else ""
        line += f", {count['skipped']} skipped" if count["skipped"] else ""
        print(f"{line:<34}{time.monotonic() - start:6.0f} s", flush=True)
        for test in tests:
            if test.status == "failed":
                print(f"      failed: {test.name}   (log: {log.relative_to(ROOT)})", flush=True)

    def one(self, name, command, timeout, env=None):
        """A suite that is one program: passed when it exits 0."""
        def body(log):
            start = time.monotonic()
            good = self.call(command, log, env=env, timeout=timeout)
            return [Test(name, name, time.monotonic() - start, "passed" if good else "failed", [])]
        self.suite(name, body)

    def build(self, preset):
        self.one(f"build {preset}", ["./dev", "build", preset, "all"], timeout=3000)
        return self.tests and self.tests[-1].status == "passed"

    def gtest(self, suite, preset):
        """Every GoogleTest program of a build tree."""
        def body(log):
            tests = []
            env = dict(self.env, ASAN_OPTIONS="allocator_may_return_null=1", RIALTO_TEST_PRESET=preset)
            for program in sorted((ROOT / "build" / preset / "bin").glob("test_*")):
                xml = OUT / f"{suite}.{program.name}.xml"
                xml.unlink(missing_ok=True)
                command = [str(program), f"--gtest_output=xml:{xml}"]
                if self.args.k:
                    command.append(f"--gtest_filter=*{self.args.k}*")
                good = self.call(command, log, env=env, timeout=900)
                ran = read_junit(f"{suite} {program.name}", xml) if xml.exists() else []
                if not good and not any(t.status == "failed" for t in ran):
                    ran.append(Test(suite, f"{program.name} crashed or ran out of time", 0, "failed", []))
                tests += ran
            return tests
        self.suite(suite, body)

    def pytest(self, suite, paths):
        def body(log):
            xml = OUT / f"{suite}.xml"
            xml.unlink(missing_ok=True)
            command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={xml}", *paths]
            if self.args.k and self.args.k != suite:
                command += ["-k", self.args.k]
            good = self.call(command, log, timeout=4 * 3600 if self.args.all else 3000)
            ran = read_junit(suite, xml) if xml.exists() else []
            if not good and not any(t.status == "failed" for t in ran) and not (self.args.k and not ran):
                ran.append(Test(suite, "pytest crashed or ran out of time", 0, "failed", []))
            return ran or ([Test(suite, f"nothing matches -k {self.args.k}", 0, "passed", [])] if self.args.k else [])
        self.suite(suite, body)

    def fuzz(self):
        seconds = 600 if self.args.all else 8

        def body(log):
            tests = []
            for program in sorted((ROOT / "build/fuzz/bin").glob("fuzz_*")):
                corpus = OUT / "corpus" / program.name
                corpus.mkdir(parents=True, exist_ok=True)
                seeds = ROOT / "tests/fuzz/corpus" / program.name.removeprefix("fuzz_")
                start = time.monotonic()
                command = [str(program), f"-max_total_time={seconds}", f"-seed={self.seed}", "-rss_limit_mb=2048", "-timeout=10",
                           f"-artifact_prefix={OUT}/{program.name}-", str(corpus)] + ([str(seeds)] if seeds.is_dir() else [])
                good = self.call(command, log, timeout=seconds + 120)
                tests.append(Test("fuzz", program.name, time.monotonic() - start, "passed" if good else "failed", []))
            return tests
        self.suite("fuzz", body)

    def cells(self):
        """{"family/column": "passed" | reason} of this run."""
        cells = {}
        for test in self.tests:
            for cell in test.cells:
                if cells.get(cell, "passed") == "passed":
                    cells[cell] = "passed" if test.status == "passed" else f"{test.status}: {test.name}"
        return cells

    def check_results(self):
        """A committed green cell must have been proven again by this run."""
        def body(log):
            ran, tests = self.cells(), []
            committed = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
            for family, columns in committed.items():
                for column, value in columns.items():
                    if value == "passed":
                        status = "passed" if ran.get(f"{family}/{column}") == "passed" else "failed"
                        tests.append(Test("results", f"{family}/{column} is proven", 0, status, []))
            return tests
        self.suite("results", body)

    def write_results(self):
        table = {}
        for cell, value in sorted(self.cells().items()):
            family, column = cell.split("/", 1)
            table.setdefault(family, {})[column] = value
        RESULTS.write_text(json.dumps(table, indent=2) + "\n")

    def finish(self):
        print("\n  slowest:")
        for test in sorted(self.tests, key=lambda t: -t.seconds)[:10]:
            print(f"    {test.seconds:7.1f} s  {test.suite}: {test.name}")
        count = {status: sum(t.status == status for t in self.tests) for status in ("passed", "failed", "skipped")}
        print(f"\n{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
        return 1 if count["failed"] else 0


def shard_of(paths, shard):
    """The i-th of n parts of the oracle files ("i/n", i from 1)."""
    if not shard:
        return paths
    index, count = map(int, shard.split("/"))
    return [path for number, path in enumerate(paths) if number % count == index - 1]


def main():
    parser = argparse.ArgumentParser(prog="./dev test", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--shard", help="i/n, with --all")
    parser.add_argument("-k", help="only suites and tests whose name has this")
    parser.add_argument("--seed", type=int, default=int(time.time()) // 86400, help="default: changes daily")
    args = parser.parse_args()
    if args.shard and not re.fullmatch(r"[1-9]\d*/[1-9]\d*", args.shard):
        parser.error(f"--shard: got {args.shard!r}, want i/n")
    runner = Runner(args)
    tier = "quick" if args.quick else "all" if args.all else "default"
    print(f"tests, tier {tier}, seed {args.seed}", flush=True)

    if not runner.build("release"):
        return runner.finish()
    runner.one("policy includes", [sys.executable, "tools/check_includes.py"], timeout=60)
    runner.one("policy house rules", [sys.executable, "tools/check_policy.py"], timeout=60)
    runner.gtest("unit", "release")
    if args.quick:
        return runner.finish()

    if runner.build("asan"):
        runner.gtest("asan", "asan")
    if runner.build("fuzz"):
        runner.fuzz()
    files = sorted(str(p.relative_to(ROOT)) for folder in ("oracle", "policy", "crash") for p in (ROOT / "tests" / folder).glob("test_*.py"))
    runner.pytest("oracle", shard_of(files, args.shard))
    runner.one("quickstart", [sys.executable, "tools/quickstart.py", "--out", "out/quickstart-test"], timeout=1800)
    if args.all and not args.shard and not args.k:
        runner.write_results()
    elif not args.k and not args.shard:
        runner.check_results()
    return runner.finish()


if __name__ == "__main__":
    sys.exit(main())
