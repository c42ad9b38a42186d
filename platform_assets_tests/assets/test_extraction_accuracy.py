"""The accuracy check: not evaluated without labelled samples, measured with them."""

from platform_assets.monitoring.checking.model import State
from platform_assets.monitoring.checking.states import read_check_states
from platform_assets.tables.skill_texts import labelled_samples

ASSET = "project_requirements"
CHECK = (ASSET, "extraction_accuracy")


def label(platform, **skills_of_text):
    for number, (text, skills) in enumerate(skills_of_text.items()):
        platform.execute(
            "INSERT INTO platform.labelled_samples (sample_id, text, skills, source) VALUES (:i, :t, :s, 'test')",
            i=str(number),
            t=text,
            s=skills,
        )


def state(platform):
    [check] = [
        check
        for check in read_check_states(platform.definitions().resolve_asset_graph(), platform.instance)
        if (check.asset, check.check) == CHECK
    ]
    return check


def test_without_samples_it_is_never_evaluated_and_never_passed(settled):
    outcome = settled.run(ASSET)

    assert outcome.is_success
    assert CHECK not in outcome.checks()
    assert state(settled).state is State.NEVER_EVALUATED
    assert state(settled).is_unknown
    assert "labels import" in state(settled).description
    assert settled.rows(labelled_samples) == []


def test_samples_are_measured_once_by_the_extractor_in_use(settled):
    label(
        settled,
        **{
            "We need Python and PostgreSQL.": ["Python", "PostgreSQL"],
            "Kubernetes, with Terraform.": ["Kubernetes", "Terraform", "Underwater Weaving"],
            "Nothing technical in here.": [],
        },
    )
    outcome = settled.run(ASSET)
    check = outcome.checks()[CHECK]
    told = {name: value.value for name, value in check.metadata.items()}

    assert outcome.metadata(ASSET)["samples_measured"] == 3
    assert check.passed
    assert told["value"] == (1 + 2 / 3) / 2
    assert (told["precision"], told["samples"], told["unknown_labels"]) == (1.0, 3, 1)
    assert told["extractor"].startswith("gemini/")
    assert state(settled).state is State.PASSED
    assert "samples_measured" not in settled.run(ASSET).metadata(ASSET)
    assert settled.values("SELECT count(*) FROM monitoring.extraction_accuracy") == [1]


def test_a_bad_extractor_turns_it_red_and_without_gemini_the_other_one_is_measured(settled):
    label(settled, **{"We need Python.": ["COBOL"], "Some Rust code.": ["Fortran"]})

    check = settled.run(ASSET, gemini=None).checks()[CHECK]

    assert not check.passed
    assert check.metadata["value"].value == 0
    assert check.metadata["extractor"].value.startswith("spelling+embedding/")
    assert settled.run(ASSET).checks()[CHECK].metadata["extractor"].value.startswith("gemini/")


def test_new_samples_that_were_not_measured_yet_are_not_measurable(settled):
    label(settled, **{"We need Python.": ["Python"]})

    check = settled.run_checks(ASSET).checks()[CHECK]

    assert not check.passed
    assert "not measurable" in check.description
