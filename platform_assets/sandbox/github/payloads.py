"""GitHub's REST objects as JSON: shapes after https://docs.github.com/rest, values from the store. No HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from platform_assets.sandbox.github.history import Commit
from platform_assets.sandbox.github.store import Repository, User, node_id
from platform_assets.sandbox.github.time import format_instant

Json = dict[str, Any]


@dataclass(frozen=True)
class Payloads:
    """Makes the objects.

    Args:
        api_url: Root of the API, which clients follow.
        html_url: Root of the links to web pages.
    """

    api_url: str
    html_url: str

    def owner(self, login: str, user: User | None) -> Json:
        """An account inside of another object: a user, or an organization when no user has that login."""
        api = f"{self.api_url}/users/{login}"
        return {
            "login": login,
            "id": user.database_id if user else 0,
            "node_id": node_id("U", user.database_id) if user else node_id("O", login),
            "avatar_url": f"{self.html_url}/{login}.png",
            "gravatar_id": "",
            "url": api,
            "html_url": f"{self.html_url}/{login}",
            "followers_url": f"{api}/followers",
            "following_url": f"{api}/following{{/other_user}}",
            "gists_url": f"{api}/gists{{/gist_id}}",
            "starred_url": f"{api}/starred{{/owner}}{{/repo}}",
            "subscriptions_url": f"{api}/subscriptions",
            "organizations_url": f"{api}/orgs",
            "repos_url": f"{api}/repos",
            "events_url": f"{api}/events{{/privacy}}",
            "received_events_url": f"{api}/received_events",
            "type": "User" if user else "Organization",
            "user_view_type": "public",
            "site_admin": False,
        }

    def user(self, user: User, *, repositories_count: int) -> Json:
        """An account by itself."""
        return {
            **self.owner(user.login, user),
            "name": user.name,
            "company": user.company,
            "blog": "",
            "location": user.location,
            "email": None,
            "hireable": None,
            "bio": user.bio,
            "twitter_username": None,
            "public_repos": repositories_count,
            "public_gists": 0,
            "followers": user.followers_count,
            "following": 0,
            "created_at": user.created_at,
            "updated_at": user.updated_at,
            **({"suspended_at": user.suspended_at} if user.suspended_at else {}),
        }

    def repository(self, repository: Repository, owner: User | None) -> Json:
        """A repository."""
        api = f"{self.api_url}/repos/{repository.name_with_owner}"
        html = f"{self.html_url}/{repository.name_with_owner}"
        return {
            "id": repository.database_id,
            "node_id": node_id("R", repository.database_id),
            "name": repository.name,
            "full_name": repository.name_with_owner,
            "private": False,
            "owner": self.owner(repository.owner, owner),
            "html_url": html,
            "description": repository.description,
            "fork": repository.is_fork,
            "url": api,
            "branches_url": f"{api}/branches{{/branch}}",
            "commits_url": f"{api}/commits{{/sha}}",
            "contributors_url": f"{api}/contributors",
            "languages_url": f"{api}/languages",
            "git_url": f"git://{html.partition('://')[2]}.git",
            "ssh_url": None,
            "clone_url": f"{html}.git",
            "homepage": None,
            "size": sum(repository.languages.values()) // 1024,
            "stargazers_count": repository.stars_count,
            "watchers_count": repository.stars_count,
            "language": next(iter(repository.languages), None),
            "has_issues": True,
            "has_projects": True,
            "has_wiki": True,
            "has_pages": False,
            "has_downloads": True,
            "has_discussions": False,
            "forks_count": 0,
            "mirror_url": None,
            "archived": repository.is_archived,
            "disabled": False,
            "open_issues_count": 0,
            "license": None,
            "allow_forking": True,
            "is_template": False,
            "topics": list(repository.topics),
            "visibility": "public",
            "forks": 0,
            "open_issues": 0,
            "watchers": repository.stars_count,
            "default_branch": "main",
            "created_at": repository.created_at,
            "updated_at": repository.pushed_at,
            "pushed_at": repository.pushed_at,
        }

    def contributor(self, login: str, user: User | None, *, commits_count: int) -> Json:
        """An account with the number of its commits to a repository."""
        return {**self.owner(login, user), "contributions": commits_count}

    def commit(self, commit: Commit, author: User | None) -> Json:
        """A commit in a list."""
        api = f"{self.api_url}/repos/{commit.name_with_owner}"
        html = f"{self.html_url}/{commit.name_with_owner}/commit"
        signature = {
            "name": (author.name if author else None) or commit.login,
            "email": f"{commit.login}@users.noreply.github.com",
            "date": format_instant(commit.committed_at),
        }
        account = self.owner(commit.login, author) if author else None
        parents = [commit.parent_sha] if commit.parent_sha else []
        return {
            "sha": commit.sha,
            "node_id": node_id("C", commit.sha),
            "commit": {
                "author": signature,
                "committer": signature,
                "message": commit.headline,
                "tree": {"sha": commit.sha, "url": f"{api}/git/trees/{commit.sha}"},
                "url": f"{api}/git/commits/{commit.sha}",
                "comment_count": 0,
                "verification": {
                    "verified": False,
                    "reason": "unsigned",
                    "signature": None,
                    "payload": None,
                    "verified_at": None,
                },
            },
            "url": f"{api}/commits/{commit.sha}",
            "html_url": f"{html}/{commit.sha}",
            "comments_url": f"{api}/commits/{commit.sha}/comments",
            "author": account,
            "committer": account,
            "parents": [
                {"sha": sha, "url": f"{api}/commits/{sha}", "html_url": f"{html}/{sha}"} for sha in parents
            ],
        }
