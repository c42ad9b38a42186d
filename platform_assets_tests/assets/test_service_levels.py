from platform_assets.schedules import CHECKS_JOB


def test_try(settled):
    outcome = settled.run(job=CHECKS_JOB)
    print(outcome.failed_steps(), [outcome.failure(s) for s in outcome.failed_steps()])
    print(outcome.metadata("service_level_measurements")["levels"])
    for (a, n), c in outcome.checks().items():
        if a in ("service_level_measurements", "performance_benchmarks"):
            print(n, c.passed, c.severity, c.description)
    assert 0
