"""Publishing to a Hub on loopback, in both upload modes: what arrives, and what does not."""

from tests.hub import READ_TOKEN, Fault
from tests.hub.desk import CARD, Desk, commits, desk, desks

__all__ = ["desk", "desks"]


def test_a_dataset_arrives_whole_in_one_commit_and_only_once(desk: Desk) -> None:
    files = desk.files()
    first = desk.publish(files, message="Add 3 rows")
    assert commits(first, desk) == ["Add 3 rows"]
    assert desk.there() == files
    page = f"{desk.hub.api}/datasets/{desk.repo}"
    assert first.value == {
        "url": page, "commit": first.value["commit"], "changed": True, "private": True
    }  # fmt: skip
    assert desk.hub.repos["dataset", desk.repo].private
    desk.hub.asked.clear()
    again = desk.publish(files)
    assert again.value == {**first.value, "changed": False}
    assert len(desk.made) == 1
    assert desk.hub.count("POST|PUT") == 0


def test_only_what_changed_is_sent_and_what_is_gone_goes(desk: Desk) -> None:
    files = desk.files()
    desk.publish({**files, "data/old.parquet": b"old rows", "notes/by-hand.md": b"mine"})
    desk.hub.sent.clear()
    files = {**files, "provenance.json": b'{"run": 2}'}
    assert commits(desk.publish(files), desk) == ["Add rows"] * 2
    assert desk.there() == {**files, "notes/by-hand.md": b"mine"}
    assert sum(desk.hub.sent.values()) < 5000


def test_a_public_repository_is_asked_for(desk: Desk) -> None:
    assert desk.publish(private=False).value["private"] is False
    assert not desk.hub.repos["dataset", desk.repo].private


def test_a_long_tree_is_read_page_by_page(desk: Desk) -> None:
    desk.hub.page_size = 3
    files = {**desk.files(), **{f"data/{i}.txt": b"%d" % i for i in range(8)}}
    desk.publish(files)
    assert desk.publish(files).value["changed"] is False
    assert desk.hub.count("cursor=") >= 6


def test_a_model_and_a_dataset_have_pages_of_their_own(desk: Desk) -> None:
    desk.publish()
    model = desk.worker.publish({"model.safetensors": b"weights"}, desk.repo, "model")
    assert model.value["url"] == f"{desk.hub.api}/{desk.repo}"
    assert desk.hub.files("model", desk.repo)["model.safetensors"] == b"weights"
    assert len(desk.made) == 1


def test_a_branch_is_made_and_main_stays(desk: Desk) -> None:
    files = desk.files()
    desk.publish(files)
    done = desk.publish({**files, "provenance.json": b"{}"}, branch="next")
    assert done.value["url"].endswith(f"{desk.repo}/tree/next")
    assert desk.there() == files
    assert desk.there("next")["provenance.json"] == b"{}"
    assert (
        desk.publish({**files, "provenance.json": b"{}"}, branch="next").value["changed"] is False
    )


def test_a_pull_request_is_opened_once_and_gone_on_with(desk: Desk) -> None:
    files = desk.files()
    desk.publish(files)
    news = {**files, "provenance.json": b"{}"}
    done = desk.publish(news, pr=True)
    assert done.value["url"].endswith(f"{desk.repo}/discussions/1")
    assert desk.there() == files
    assert desk.there("refs/pr/1") == news
    assert desk.publish(news, pr=True).value == {**done.value, "changed": False}
    more = {**news, "provenance.json": b"[]"}
    assert desk.publish(more, pr=True).value["url"] == done.value["url"]
    assert desk.there("refs/pr/1") == more
    assert len(desk.hub.repos["dataset", desk.repo].pulls) == 1


def test_a_pull_request_goes_to_a_repository_of_others(desk: Desk) -> None:
    desk.repo = desk.repo.replace("me/", "you/")
    desk.hub.make("dataset", desk.repo, private=False)
    files = desk.files()
    assert desk.publish(files, pr=True).value["url"].endswith("/discussions/1")
    assert desk.there("refs/pr/1") == files
    assert "may not write here" in desk.publish(files).error


def test_a_pull_request_that_would_change_nothing_is_not_opened(desk: Desk) -> None:
    desk.publish()
    assert desk.publish(pr=True).value["changed"] is False
    assert desk.hub.repos["dataset", desk.repo].pulls == []


def test_a_tag_marks_the_commit_and_is_never_moved(desk: Desk) -> None:
    files = desk.files()
    done = desk.publish(files, tag="v1")
    refs = desk.hub.repos["dataset", desk.repo].refs
    assert refs["refs/tags/v1"] == done.value["commit"]
    assert desk.publish(files, tag="v1").error == ""
    refused = desk.publish(desk.files("other"), tag="v1")
    assert refused.error == f"{desk.repo}: the tag v1 is taken; choose another one"
    assert desk.there() == files


def test_large_files_go_in_parts(desk: Desk) -> None:
    desk.hub.part_size = 50_000
    files = desk.files(size=140_000)
    assert commits(desk.publish(files), desk) == ["Add rows"]
    assert desk.there() == files
    assert desk.hub.count("PUT /part/") == (4 if desk.worker.mode == "lfs" else 0)


def test_a_token_that_the_hub_does_not_know_is_one_line(desk: Desk) -> None:
    told = f"{desk.repo}: the Hub does not know your token; log in with `hf auth login`"
    result = desk.publish(token="hf_wrongtoken")
    assert result.error == told
    assert "hf_wrong" not in result.shown
    assert desk.worker.text(desk.repo, "README.md", token="hf_wrongtoken").error == told
    assert ("dataset", desk.repo) not in desk.hub.repos


def test_no_token_is_one_line(desk: Desk) -> None:
    told = "you are not logged in; run `hf auth login` or set HF_TOKEN"
    assert desk.publish(token=None).error == f"{desk.repo}: {told}"
    assert desk.hub.asked == []


def test_a_token_that_cannot_be_sent_is_not_quoted(desk: Desk) -> None:
    result = desk.publish(token="hf_sec\x01ret")
    assert "your token has characters that no token has" in result.error
    assert "ret" not in result.shown.replace("return", "")
    assert desk.hub.asked == []


def test_a_token_that_may_not_write_changes_nothing(desk: Desk) -> None:
    files = desk.files()
    assert "your token may not write here" in desk.publish(files, token=READ_TOKEN).error
    assert ("dataset", desk.repo) not in desk.hub.repos
    desk.publish(files)
    refused = desk.publish(desk.files("other"), token=READ_TOKEN)
    assert "your token may not write here" in refused.error
    assert desk.there() == files
    assert desk.hub.count("PUT|xorbs") <= 1


def test_the_private_repository_of_another_is_one_line(desk: Desk) -> None:
    desk.repo = desk.repo.replace("me/", "you/")
    desk.hub.make("dataset", desk.repo)
    assert "your token may not write here" in desk.publish().error
    assert desk.made == []


def test_a_name_that_another_type_holds_is_one_line(desk: Desk) -> None:
    desk.hub.shared_names = True
    desk.hub.make("model", desk.repo)
    assert desk.publish().error == (
        f"{desk.repo}: the name is taken by a model; choose another one for the dataset"
    )
    assert ("dataset", desk.repo) not in desk.hub.repos


def test_what_names_no_repository_is_not_asked_for(desk: Desk) -> None:
    for bad in ("a/b/c", "me/two words", "me/--", "", "me/x.git"):
        desk.repo = bad
        assert desk.publish().error == f"{bad!r} names no repository; give OWNER/NAME"
    assert desk.hub.asked == []


def test_a_name_alone_is_ones_own(desk: Desk) -> None:
    desk.repo = desk.repo.removeprefix("me/")
    url = desk.publish().value["url"]
    assert url == f"{desk.hub.api}/datasets/me/{desk.repo}"
    assert desk.worker.text(desk.repo, "README.md").value == CARD.decode()


def test_a_card_that_is_refused_is_told_before_anything_large_goes(desk: Desk) -> None:
    for card, told in (
        (
            b"---\nlicense: My Licence\n---\n",
            'refused ("license" must be one of the licences listed)',
        ),
        (b"---\nlicense: [mit\n---\n", "README.md: its metadata is refused ("),
    ):
        result = desk.publish({**desk.files(), "README.md": card})
        assert told in result.error
        assert "\n" not in result.error
    assert desk.made == []
    assert desk.hub.count("PUT|xorbs|preupload") == 0


def test_a_branch_with_a_bad_name_is_one_line(desk: Desk) -> None:
    result = desk.publish(branch="two words")
    assert "the Hub refuses (400 Bad Request at" in result.error
    assert "Invalid branch name: two words" in result.error
    assert desk.publish(branch="x", pr=True).error.endswith("ask for a branch or for it, not both")
    assert desk.made == []


def test_a_file_that_the_repository_ignores_is_told(desk: Desk) -> None:
    desk.hub.fill(desk.hub.make("dataset", desk.repo), {".gitignore": b"data/*\n"})
    result = desk.publish()
    assert result.error == (
        f"{desk.repo}: the Hub did not keep data/train-00000-of-00001.parquet; is it in the"
        " repository's .gitignore?"
    )


def test_somebody_elses_commit_is_kept_and_built_on(desk: Desk) -> None:
    repo = desk.hub.make("dataset", desk.repo)
    theirs = {"notes.md": b"theirs"}
    desk.hub.faults.append(
        Fault("/commit/", how="meanwhile", act=lambda hub: hub.fill(repo, theirs))
    )
    files = desk.files()
    result = desk.publish(files)
    assert commits(result, desk) == ["Add rows"]
    assert result.waits == [1]
    assert desk.there() == {**files, **theirs}


def test_the_text_that_is_there_is_read(desk: Desk) -> None:
    def read(**options: str) -> str | None:
        result = desk.worker.text(desk.repo, "README.md", **options)
        assert result.error == ""
        text: str | None = result.value
        return text

    assert read() is None
    repo = desk.hub.make("dataset", desk.repo)
    assert read() is None
    desk.hub.fill(repo, {"README.md": "de main à nous\n".encode()})
    assert read() == "de main à nous\n"
    assert read(branch="next") == "de main à nous\n"
    desk.publish(branch="next")
    assert read(branch="next") == CARD.decode()
