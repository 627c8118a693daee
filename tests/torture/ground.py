"""What is done to disk, journal and clock. In: a stage, chance. Out: harm, healed again."""

from __future__ import annotations

import random
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faults import Damage, Fault, Torture, in_time
from journal_files import Found, records
from stage import Stage, until

STRACE_READY_S = 10.0
DAMAGE_BYTES = 64
HELD_READINGS = 1500

# --- the disk ---------------------------------------------------------------------------------------


def disk_full(torture: Torture) -> None:
    """ENOSPC, or EFBIG where no small disk can be made; then there is room again."""
    stage = torture.stage
    stage.until_online()
    if stage.disk.small:
        with stage.disk.full():
            torture.some(4.0, 7.0)
    else:
        newest = max((stage.gateway.data / "journal").glob("*.segment"))
        limits = resource.prlimit(stage.gateway.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(stage.gateway.pid, resource.RLIMIT_FSIZE, (newest.stat().st_size, limits[1]))
        torture.some(4.0, 7.0)
        if stage.gateway.exit_code is None:
            resource.prlimit(stage.gateway.pid, resource.RLIMIT_FSIZE, limits)
    torture.repeats_max += 1
    stage.until_online()


def sync_refused(pattern: str) -> Fault:
    """EIO from one fdatasync of the files that match, by strace."""

    def fault(torture: Torture) -> None:
        stage = torture.stage
        if shutil.which("strace") is None:
            torture.absent["sync_refused"] = "strace is not installed"
            return
        stage.until_online()
        file = max(stage.gateway.data.glob(pattern))
        inject = ["-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO:when=3"]
        command = ["strace", "-f", "-qq", "-p", str(stage.gateway.pid), "-P", str(file), *inject]
        log = stage.directory / "strace.log"
        with log.open("ab") as out:
            began = log.stat().st_size
            tracer = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            if not in_time(lambda: b"INJECTED" in log.read_bytes()[began:], STRACE_READY_S):
                torture.absent["sync_refused"] = f"strace injected nothing: {log.read_text()[-200:]}"
        finally:
            tracer.terminate()
            tracer.wait()
        torture.repeats_max += 1
        torture.some(0.5, 2.0)
        stage.until_online()

    return fault


def journal_damaged(torture: Torture) -> None:
    """Bytes in records the store has not seen yet are changed while the gateway is down."""
    stage = torture.stage
    with calm(torture):
        stage.between.spoil("cut")
        journal = stage.gateway.data / "journal"
        known = max((found.record.sequence for found in records(stage.archive)), default=0)
        until(lambda: _readings_after(stage, known) >= HELD_READINGS, "readings held by the journal")
        stage.keeper.kill()
        found = [one for one in records(journal) if one.record.sequence > known and one.numbers]
        at = torture.chance.randrange(len(found) // 4, len(found) // 2)
        victims = found[at : at + torture.chance.randint(1, 3)]
        for victim in victims:
            _damage(victim, torture.chance)
        stage.between.spoil("pass")
        stage.keeper.begin()
        torture.repeats_max += 1
        stage.until_online()
        named = in_time(lambda: all(_named(stage, victim) for victim in victims))
        torture.damage += [Damage(victim, named) for victim in victims]


def _readings_after(stage: Stage, sequence: int) -> int:
    return sum(len(one.numbers) for one in records(stage.archive) if one.record.sequence > sequence)


def _damage(victim: Found, chance: random.Random) -> None:
    with victim.file.open("r+b") as file:
        offset = chance.randrange(victim.start + 20, victim.end - 4)
        file.seek(offset)
        old = file.read(min(DAMAGE_BYTES, victim.end - offset))
        file.seek(offset)
        file.write(bytes(byte ^ 0x5A for byte in old))


def _named(stage: Stage, victim: Found) -> bool:
    """Whether some gap in the journal says that exactly these records are lost."""
    sequence = victim.record.sequence
    return any(
        gap.gap == "journal_corrupt" and gap.names(sequence)
        for gap in (found.gap for found in records(stage.archive))
        if gap is not None
    )


@contextmanager
def calm(torture: Torture) -> Iterator[None]:
    """No lamp that alarms reports, and all followers are at the journal's end when it begins and ends."""
    oracle = torture.stage.oracle
    try:
        for order in ("calm", "lively"):
            oracle.quiet()
            torture.stage.until_drained()
            oracle.order(order)
            oracle.order("go")
            if order == "calm":
                yield
    finally:
        oracle.order("lively")
        oracle.order("go")


# --- the clock --------------------------------------------------------------------------------------


def clock_jumped(by_s: int) -> Fault:
    """The wall clock jumps while the gateway runs, stays so, and is right again after a restart."""

    def fault(torture: Torture) -> None:
        library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
        if library is None:
            torture.absent["clock_jumped"] = "libfaketime is not installed"
            return
        stage = torture.stage
        file = stage.directory / "clock"
        file.write_text("+0\n")
        stage.keeper.kill()
        stage.keeper.begin(
            LD_PRELOAD=str(library),
            FAKETIME_TIMESTAMP_FILE=str(file),
            FAKETIME_DONT_FAKE_MONOTONIC="1",
            FAKETIME_CACHE_DURATION="1",
        )
        torture.repeats_max += 2
        stage.until_online()
        torture.some(1.0, 2.0)
        Path(file).write_text(f"{by_s:+d}\n")
        torture.some(3.0, 5.0)
        stage.until_online()
        stage.keeper.kill()
        stage.keeper.begin()

    return fault
