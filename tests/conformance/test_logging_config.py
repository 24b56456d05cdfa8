"""`init(logging_config=...)`: log records of the driver and of its workers."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from conformance.drivers import Driver, Drivers

SCRIPT = """
import logging
from MODULE.job_config import JobConfig

config = ray.LoggingConfig(encoding=ENCODING, log_level="INFO", additional_log_standard_attrs=["name"])
job = JobConfig()
job.ensure_logging_config(config)
ray.init(num_cpus=2, SETTING)

class Teller:
    def tell(self):
        logger = logging.getLogger("shop")
        logger.debug("not shown")
        logger.info("from the actor", extra={"customer": "ann"})
        try:
            1 / 0
        except ZeroDivisionError:
            logger.exception("it failed")
        return ray.get_runtime_context().get_task_id()

def task():
    logging.getLogger("shop").warning("from the task")

teller = ray.remote(Teller).options(name="the teller").remote()
say(ray.get(teller.tell.remote()))
pause()
ray.get(ray.remote(task).options(name="duty").remote())
pause()
logging.getLogger("shop").info("from %s", "the driver")
ray.shutdown()
"""


class TestConfig:
    def test_defaults_and_dict(self, ray: Any) -> None:
        config = ray.LoggingConfig()
        expected = {"encoding": "TEXT", "log_level": "INFO", "additional_log_standard_attrs": []}
        assert config.to_dict() == expected
        assert config == ray.LoggingConfig(**expected)
        assert ray.LoggingConfig.from_dict({"encoding": "JSON", "other": 1}) == ray.LoggingConfig(encoding="JSON")

    def test_wrong_values_are_refused(self, ray: Any) -> None:
        with pytest.raises(ValueError, match="Invalid encoding type"):
            ray.LoggingConfig(encoding="XML")
        with pytest.raises(ValueError, match="Unknown python logging standard attribute"):
            ray.LoggingConfig(additional_log_standard_attrs=["colour"])

    def test_an_unknown_level_is_refused_by_init(self, init: Any, fresh: Any) -> None:
        with pytest.raises(ValueError, match="Unknown level: 'LOUD'"):
            init(logging_config=fresh.LoggingConfig(log_level="LOUD"))
        assert not fresh.is_initialized()


@pytest.mark.parametrize("setting", ["logging_config=config", "job_config=job"])
def test_json(lone_drivers: Drivers, module_name: str, setting: str) -> None:
    driver = started(lone_drivers, module_name, "JSON", setting)
    task_id = driver.line()
    told, failed = (json.loads(line) for line in driver.lines_with('"name": "shop"', 2, "stderr"))
    assert told["message"] == "from the actor"
    assert told["levelname"] == "INFO"
    assert told["name"] == "shop"
    assert told["customer"] == "ann"
    assert told["task_id"] == task_id
    assert told["task_name"] == "Teller.tell"
    assert told["task_func_name"].endswith("Teller.tell")
    assert told["actor_name"] == "the teller"
    assert told["filename"] == "driver_0.py"
    assert {"asctime", "lineno", "process", "job_id", "worker_id", "node_id", "actor_id", "timestamp_ns"} <= told.keys()
    assert failed["exc_text"].endswith("ZeroDivisionError: division by zero")
    driver.go_on()
    (task,) = (json.loads(line) for line in driver.lines_with('"name": "shop"', 1, "stderr"))
    assert task["message"] == "from the task"
    assert task["task_name"] == "duty"
    assert "actor_id" not in task
    driver.go_on()
    rest = [line for line in driver.finish()[1].splitlines() if "the driver" in line]
    if setting == "job_config=job":  # which is for workers only
        assert not rest
        return
    last = json.loads(rest[0])
    assert last["message"] == "from the driver"
    assert last["job_id"] == told["job_id"]
    assert "task_id" not in last


def test_text(lone_drivers: Drivers, module_name: str) -> None:
    driver = started(lone_drivers, module_name, "TEXT", "logging_config=config")
    task_id = driver.line()
    told, failed = driver.lines_with(" driver_0.py:", 2, "stderr")
    (last,) = driver.lines_with("ZeroDivisionError", 1, "stderr")
    assert re.match(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\tINFO driver_0.py:\d+ -- from the actor name=shop customer=ann job_id=",
        told,
    )
    assert f" task_id={task_id} task_name=Teller.tell " in told
    assert re.search(r" timestamp_ns=\d{19}$", told)
    assert "ERROR driver_0.py" in failed
    assert last.startswith("ZeroDivisionError: division by zero name=shop job_id=")


def started(drivers: Drivers, module_name: str, encoding: str, setting: str) -> Driver:
    script = SCRIPT.replace("MODULE", module_name).replace("ENCODING", repr(encoding)).replace("SETTING", setting)
    return drivers.start(script)
