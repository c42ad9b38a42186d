"""What generated developers can do: skills with the ways people write them, and archetypes of developers.

Data only. The product's own skill vocabulary is another list; the two meet in the marketplace, as in real life.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Skill:
    """A skill as it shows in a marketplace.

    Attributes:
        name: Its usual name.
        spellings: How people write it when they declare it; the usual name is among them.
        language: The language on GitHub that a repository with it holds; None when it leaves no code of its own.
        topic: The topic that such a repository carries.
    """

    name: str
    spellings: tuple[str, ...]
    language: str | None
    topic: str


@dataclass(frozen=True)
class Archetype:
    """A kind of developer.

    Attributes:
        title: What such a person calls themselves.
        share: Share of all developers, relative to the other archetypes.
        rate_usd: Median hourly rate in US dollars.
        skills: Skill to the probability that such a developer has it.
        systems: What clients ask them to build.
        parts: What their commits are about.
    """

    title: str
    share: float
    rate_usd: float
    skills: Mapping[str, float]
    systems: tuple[str, ...]
    parts: tuple[str, ...]

    @property
    def core_skills(self) -> tuple[str, ...]:
        """What nearly all of them know, and what a project can be about; never empty."""
        return tuple(
            skill
            for skill, share in self.skills.items()
            if share >= _CORE and skill not in _SUPPORTING_SKILLS
        )

    @property
    def coding_skills(self) -> tuple[str, ...]:
        """Core and usual skills whose work leaves code on GitHub; never empty."""
        return tuple(
            skill for skill, share in self.skills.items() if share >= _USUAL and SKILLS[skill].language
        )

    @property
    def usual_skills(self) -> tuple[str, ...]:
        """Skills of the trade that about half of them have."""
        return tuple(skill for skill, share in self.skills.items() if share == _USUAL)

    @property
    def rarer_skills(self) -> tuple[str, ...]:
        """Skills of the trade that some of them have."""
        return tuple(skill for skill, share in self.skills.items() if share == _SOMETIMES)


_CORE, _USUAL, _SOMETIMES = 0.93, 0.55, 0.22

_SUPPORTING_SKILLS = frozenset(("Docker", "Git", "HTML", "Linux", "NumPy", "PostgreSQL", "SQL"))

# name | other spellings | language on GitHub | topic
_SKILL_LINES = """
Python|python,python3,Python 3|Python|python
Django|django,Django REST|Python|django
FastAPI|fastapi,Fast API|Python|fastapi
Flask|flask|Python|flask
SQL|sql,SQL (advanced)||sql
PostgreSQL|postgres,Postgres,PSQL,postgresql|PLpgSQL|postgresql
MySQL|mysql,MariaDB/MySQL||mysql
MongoDB|mongo,mongodb,Mongo DB||mongodb
Redis|redis||redis
Elasticsearch|elastic search,ElasticSearch||elasticsearch
Apache Kafka|Kafka,kafka||kafka
RabbitMQ|rabbitmq,Rabbit MQ||rabbitmq
Celery|celery|Python|celery
Apache Airflow|Airflow,airflow|Python|airflow
dbt|DBT,dbt-core||dbt
Apache Spark|Spark,PySpark,spark|Scala|spark
Snowflake|snowflake,Snowflake DB||snowflake
BigQuery|bigquery,Google BigQuery||bigquery
pandas|Pandas|Python|pandas
NumPy|numpy|Python|numpy
scikit-learn|sklearn,scikit learn|Jupyter Notebook|scikit-learn
PyTorch|pytorch,torch|Jupyter Notebook|pytorch
TensorFlow|tensorflow,Tensorflow|Jupyter Notebook|tensorflow
Machine Learning|ML,machine-learning|Jupyter Notebook|machine-learning
Natural Language Processing|NLP|Jupyter Notebook|nlp
Computer Vision|CV / vision,computer-vision|Jupyter Notebook|computer-vision
Tableau|tableau||tableau
Power BI|PowerBI,power-bi||powerbi
R|R lang,Rstats|R|r
JavaScript|JS,javascript,ES6|JavaScript|javascript
TypeScript|TS,typescript,Typescript|TypeScript|typescript
React|ReactJS,React.js,react|TypeScript|react
Next.js|NextJS,nextjs|TypeScript|nextjs
Redux|redux|TypeScript|redux
Vue.js|Vue,vuejs,Vue 3|Vue|vue
Svelte|svelte,SvelteKit|Svelte|svelte
Angular|angular,Angular 2+|TypeScript|angular
Node.js|NodeJS,node,Node|JavaScript|nodejs
GraphQL|graphql,Graph QL||graphql
HTML|HTML5,html|HTML|html
CSS|CSS3,css|CSS|css
Tailwind CSS|Tailwind,tailwindcss|CSS|tailwindcss
Accessibility|a11y,WCAG||accessibility
Java|java,Java 17|Java|java
Spring Boot|Spring,spring-boot,SpringBoot|Java|spring-boot
Hibernate|hibernate,JPA/Hibernate|Java|hibernate
Kotlin|kotlin|Kotlin|kotlin
Android|android,Android SDK|Kotlin|android
Jetpack Compose|Compose,jetpack compose|Kotlin|jetpack-compose
Swift|swift,Swift 5|Swift|swift
iOS|ios,iOS development|Swift|ios
SwiftUI|swiftui,Swift UI|Swift|swiftui
Objective-C|ObjC,objective c|Objective-C|objective-c
Flutter|flutter|Dart|flutter
Dart|dart|Dart|dart
React Native|react-native,ReactNative,RN|TypeScript|react-native
Rust|rust,Rustlang|Rust|rust
Tokio|tokio|Rust|tokio
WebAssembly|WASM,wasm|Rust|webassembly
C|c,ANSI C|C|c
C++|cpp,C++17,Cpp|C++|cpp
Embedded Systems|embedded,Embedded C|C|embedded
FreeRTOS|freertos,RTOS|C|freertos
Linux|linux,GNU/Linux||linux
Go|Golang,golang,go|Go|golang
gRPC|grpc,GRPC|Go|grpc
Kubernetes|k8s,kubernetes,K8S|Smarty|kubernetes
Docker|docker|Dockerfile|docker
Terraform|terraform,TF/Terraform|HCL|terraform
Ansible|ansible|Jinja|ansible
AWS|aws,Amazon Web Services,Amazon AWS||aws
Google Cloud|GCP,Google Cloud Platform||gcp
Azure|azure,Microsoft Azure||azure
Prometheus|prometheus|Go|prometheus
Grafana|grafana||grafana
CI/CD|CICD,ci-cd,GitHub Actions|Shell|ci-cd
Bash|bash,shell scripting|Shell|bash
Git|git,GIT||git
C#|csharp,C sharp,c#|C#|csharp
.NET|dotnet,.NET Core,ASP.NET|C#|dotnet
Unity|unity3d,Unity 3D|C#|unity
Godot|godot|GDScript|godot
Ruby|ruby|Ruby|ruby
Ruby on Rails|Rails,RoR,rails|Ruby|rails
PHP|php,PHP 8|PHP|php
Laravel|laravel|PHP|laravel
WordPress|wordpress,Wordpress,WP|PHP|wordpress
Solidity|solidity|Solidity|solidity
Ethereum|ethereum,EVM|Solidity|ethereum
Scala|scala|Scala|scala
Elixir|elixir|Elixir|elixir
Phoenix|phoenix,Phoenix LiveView|Elixir|phoenix
Penetration Testing|pentesting,pen testing|Python|pentesting
Cryptography|crypto (not coins),cryptography|Rust|cryptography
OAuth|OAuth2,oauth 2.0||oauth
Selenium|selenium,Selenium WebDriver|Java|selenium
Playwright|playwright|TypeScript|playwright
Test Automation|test automation,QA automation|JavaScript|testing
"""


def _read_skill(line: str) -> Skill:
    name, spellings, language, topic = line.split("|")
    # The usual name is the most common spelling by far.
    return Skill(name, (*[name] * 4, *spellings.split(",")), language or None, topic)


SKILLS: Mapping[str, Skill] = {
    skill.name: skill for skill in map(_read_skill, _SKILL_LINES.strip().splitlines())
}

# What anybody may know beside their trade.
COMMON_SKILLS: Mapping[str, float] = {
    "Git": 0.5, "Docker": 0.3, "Linux": 0.25, "SQL": 0.3, "CI/CD": 0.2, "Bash": 0.15, "PostgreSQL": 0.12, "AWS": 0.14,
    "Python": 0.12, "JavaScript": 0.14, "HTML": 0.08, "CSS": 0.06, "Redis": 0.05, "MongoDB": 0.04, "OAuth": 0.03,
    "GraphQL": 0.03, "Elixir": 0.008, "Scala": 0.01, "R": 0.01,
}  # fmt: skip


def _list(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(","))


def _archetype(
    title: str,
    share: float,
    rate_usd: float,
    *,
    core: str,
    usual: str,
    sometimes: str,
    systems: str,
    parts: str,
) -> Archetype:
    skills = dict(COMMON_SKILLS)
    for names, probability in ((sometimes, _SOMETIMES), (usual, _USUAL), (core, _CORE)):
        skills.update(dict.fromkeys(_list(names), probability))
    return Archetype(title, share, rate_usd, skills, _list(systems), _list(parts))


ARCHETYPES: tuple[Archetype, ...] = (
    _archetype(
        "Python backend developer", 13, 55,
        core="Python, PostgreSQL, Docker", usual="Django, FastAPI, Redis, Celery, Git",
        sometimes="Flask, RabbitMQ, AWS, Elasticsearch, GraphQL, Kubernetes, MongoDB",
        systems="booking API, claims service, invoicing backend, partner portal, catalogue search, loyalty programme service",
        parts="pagination, permission check, migration, background job, serializer, rate limiter, audit log, cache key, webhook handler, tenant filter",
    ),
    _archetype(
        "Data engineer", 9, 62,
        core="Python, SQL, Apache Airflow", usual="dbt, Apache Spark, PostgreSQL, Snowflake, AWS, Docker",
        sometimes="Apache Kafka, BigQuery, Scala, Terraform, pandas, Google Cloud",
        systems="data warehouse, event ingestion pipeline, revenue reporting model, change-data-capture feed, customer data lake, nightly load",
        parts="incremental load, partition pruning, schema registry, backfill, deduplication step, staging model, late events, source freshness test, surrogate key, retry of failed tasks",
    ),
    _archetype(
        "Machine learning engineer", 7, 70,
        core="Python, Machine Learning, NumPy", usual="PyTorch, scikit-learn, pandas, Docker",
        sometimes="TensorFlow, Natural Language Processing, Computer Vision, AWS, FastAPI, Kubernetes, R",
        systems="demand forecast, document classifier, recommendation service, defect detection model, fraud score, search ranker",
        parts="training loop, feature store lookup, tokenizer, data augmentation, evaluation metric, learning rate schedule, calibration, batch inference, embedding cache, confusion matrix",
    ),
    _archetype(
        "Frontend developer", 12, 48,
        core="JavaScript, TypeScript, CSS, HTML", usual="React, Next.js, Redux, Tailwind CSS, Git",
        sometimes="Vue.js, Svelte, Angular, GraphQL, Accessibility, Playwright",
        systems="customer dashboard, checkout flow, design system, appointment calendar, onboarding wizard, analytics cockpit",
        parts="focus trap, date picker, form validation, skeleton loader, dark theme, keyboard navigation, table sorting, bundle size, error boundary, translation keys",
    ),
    _archetype(
        "Full-stack developer", 12, 52,
        core="TypeScript, Node.js, React", usual="JavaScript, PostgreSQL, Next.js, GraphQL, Docker",
        sometimes="MongoDB, Redis, Vue.js, AWS, Tailwind CSS, OAuth, Playwright",
        systems="tenant management app, marketplace for used parts, learning portal, fleet scheduling tool, members area, inventory app",
        parts="session handling, resolver, upload form, invite mail, role editor, search filter, websocket reconnect, seed script, price rounding, route guard",
    ),
    _archetype(
        "Android developer", 5, 50,
        core="Kotlin, Android", usual="Java, Jetpack Compose, Git", sometimes="CI/CD, GraphQL, Flutter, OAuth",
        systems="courier app, field inspection app, ticket wallet, patient diary app, meter reading app",
        parts="offline sync, view model, push notification, permission dialog, deep link, map clustering, camera preview, work manager job, list diffing, crash on rotation",
    ),
    _archetype(
        "iOS developer", 5, 58,
        core="Swift, iOS", usual="SwiftUI, Git, CI/CD", sometimes="Objective-C, GraphQL, React Native, OAuth",
        systems="workout tracker, bank card app, museum guide, house control app, driver app",
        parts="background refresh, keychain access, widget timeline, navigation stack, haptic feedback, share sheet, image cache, dynamic type, local notification, snapshot test",
    ),
    _archetype(
        "Cross-platform mobile developer", 5, 44,
        core="Flutter, Dart", usual="React Native, TypeScript, Git", sometimes="Kotlin, Swift, Android, iOS, GraphQL",
        systems="delivery app, event app, language learning app, staff rota app, repair service app",
        parts="platform channel, navigation, theme, state notifier, in-app purchase, offline queue, splash screen, golden test, localisation, gesture conflict",
    ),
    _archetype(
        "Rust systems engineer", 3, 82,
        core="Rust, Linux", usual="Tokio, C, Git, gRPC", sometimes="WebAssembly, C++, Cryptography, Docker, Go",
        systems="telemetry collector, storage engine, network proxy, video transcoder, matching engine",
        parts="backpressure, zero-copy parser, ring buffer, connection pool, unsafe block, lifetime, wakeup, memory map, fuzz target, benchmark",
    ),
    _archetype(
        "Go backend engineer", 6, 65,
        core="Go, Docker", usual="gRPC, Kubernetes, PostgreSQL, Redis", sometimes="Apache Kafka, Prometheus, Terraform, Google Cloud",
        systems="payment router, notification service, identity service, log shipper, API gateway",
        parts="context cancellation, retry budget, graceful shutdown, interceptor, leader election, health probe, goroutine leak, circuit breaker, protobuf field, pagination token",
    ),
    _archetype(
        "Platform engineer", 6, 68,
        core="Kubernetes, Terraform, Docker, Linux", usual="AWS, CI/CD, Prometheus, Bash, Grafana",
        sometimes="Ansible, Google Cloud, Azure, Go, Python",
        systems="multi-region cluster, deployment pipeline, observability stack, landing zone, disaster recovery set-up",
        parts="node pool, alert rule, chart values, state lock, ingress, certificate renewal, pod disruption budget, secret rotation, dashboard panel, module version",
    ),
    _archetype(
        "Java developer", 8, 54,
        core="Java, Spring Boot, SQL", usual="Hibernate, PostgreSQL, Docker, Apache Kafka",
        sometimes="MySQL, Kotlin, Kubernetes, Selenium, Azure, RabbitMQ, Scala",
        systems="policy administration system, order management, customs declaration service, tariff engine, core banking adapter",
        parts="transaction boundary, batch step, entity mapping, bean validation, message listener, lazy loading, controller advice, connection leak, feature flag, scheduler",
    ),
    _archetype(
        ".NET developer", 6, 54,
        core="C#, .NET, SQL", usual="Azure, Git, Docker", sometimes="Angular, React, TypeScript, RabbitMQ, Redis",
        systems="warehouse management system, clinic administration, tender portal, production planning tool, property accounting",
        parts="dependency injection, entity configuration, middleware, background worker, report export, claims mapping, minimal API, unit of work, culture formatting, outbox",
    ),
    _archetype(
        "Ruby on Rails developer", 4, 60,
        core="Ruby, Ruby on Rails, PostgreSQL", usual="Redis, JavaScript, Git", sometimes="Elasticsearch, React, Docker, Elixir, Phoenix",
        systems="subscription shop, volunteer platform, course booking site, editorial back office, rental platform",
        parts="scope, concern, mailer preview, background job, N+1 query, policy object, form object, turbo frame, factory, seeds",
    ),
    _archetype(
        "PHP developer", 7, 36,
        core="PHP, MySQL", usual="Laravel, WordPress, JavaScript, HTML, CSS", sometimes="Vue.js, Redis, Docker, Elasticsearch",
        systems="shop extension, multilingual company site, quotation tool, membership plugin, property listing site",
        parts="shortcode, queue worker, template part, coupon rule, middleware, custom post type, image sizes, cron event, checkout hook, translation file",
    ),
    _archetype(
        "Embedded engineer", 4, 60,
        core="C, Embedded Systems, C++", usual="FreeRTOS, Linux, Git", sometimes="Python, Rust, Bash, Computer Vision",
        systems="battery controller, sensor gateway, motor driver, bootloader, smart meter firmware",
        parts="interrupt handler, watchdog, DMA transfer, power saving mode, boot sequence, I2C timeout, ring buffer, linker script, flash wear levelling, calibration table",
    ),
    _archetype(
        "Game developer", 3, 42,
        core="C#, Unity", usual="C++, Git", sometimes="Godot, Python, Rust",
        systems="puzzle game, training simulator, multiplayer lobby, level editor, museum installation",
        parts="input buffer, camera shake, save game, particle pool, path finding, inventory slots, shader variant, frame pacing, collision layer, dialogue tree",
    ),
    _archetype(
        "Smart contract developer", 2, 75,
        core="Solidity, Ethereum", usual="TypeScript, JavaScript, Cryptography", sometimes="Rust, React, Python",
        systems="escrow contract, token vesting, voting module, settlement layer",
        parts="reentrancy guard, storage layout, event signature, gas usage, proxy upgrade, permit, invariant test, access role",
    ),
    _archetype(
        "Security engineer", 2, 78,
        core="Penetration Testing, Linux, Python", usual="OAuth, Cryptography, Bash", sometimes="Go, AWS, C, Kubernetes",
        systems="threat model, access review, secure build pipeline, single sign-on",
        parts="token audience check, scanner rule, header policy, key rotation, report template, replay protection, allow list, session fixation",
    ),
    _archetype(
        "Test automation engineer", 3, 42,
        core="Test Automation, JavaScript", usual="Playwright, Selenium, CI/CD, Git", sometimes="Python, Java, TypeScript, Docker, Accessibility",
        systems="regression suite, release gate, load test, test data factory",
        parts="flaky test, page object, retry rule, fixture, screenshot diff, test data, parallel shards, report upload",
    ),
    _archetype(
        "Data analyst", 4, 40,
        core="SQL, pandas, Python", usual="Tableau, Power BI, NumPy", sometimes="R, BigQuery, dbt, Snowflake, scikit-learn",
        systems="sales cockpit, churn analysis, pricing study, marketing attribution",
        parts="cohort query, outlier rule, date spine, chart labels, currency table, sample weights, notebook clean-up, monthly extract",
    ),
)  # fmt: skip
