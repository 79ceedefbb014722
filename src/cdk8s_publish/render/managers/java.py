"""Maven and Gradle: the app command of these (`mvn … exec:java`, `./gradlew render`) fetches what it needs."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from cdk8s_publish.render.managers import Ecosystem, Manager

if TYPE_CHECKING:
    from collections.abc import Mapping


def _variables(cache: str) -> Mapping[str, str]:
    return {
        "GRADLE_USER_HOME": f"{cache}/gradle",
        "MAVEN_USER_HOME": f"{cache}/maven-wrapper",  # where mvnw keeps the Maven that it fetches
        "MAVEN_OPTS": f"-Dmaven.repo.local={shlex.quote(f'{cache}/maven')}",
    }


MANAGERS = (
    Manager("Maven", "mvn", ("pom.xml",), "", is_locked=False),
    Manager("Gradle", "gradle", ("build.gradle",), "", is_locked=False),
    Manager("Gradle", "gradle", ("build.gradle.kts",), "", is_locked=False),
    Manager("Gradle", "gradle", ("settings.gradle",), "", is_locked=False),
    Manager("Gradle", "gradle", ("settings.gradle.kts",), "", is_locked=False),
)

JAVA = Ecosystem(
    name="java",
    languages=("java",),
    managers=MANAGERS,
    variables=_variables,
    version_commands=("java -version",),
    version_files=(".java-version",),
)
