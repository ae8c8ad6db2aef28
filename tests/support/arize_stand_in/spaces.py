"""Spaces, what may be annotated in them, and their tags."""

from __future__ import annotations

from typing import Any

from problems import Problem
from wire import checked, contains, limit_of, new_id, now, page


class Spaces:
    def __init__(self) -> None:
        self.spaces: dict[str, dict[str, Any]] = {}
        self.annotation_configs: dict[str, set[str]] = {}
        self.tags: dict[str, dict[str, Any]] = {}
        self.tagged: dict[str, list[str]] = {}  # ids of tags by what has them

    def add(self, name: str) -> dict[str, Any]:
        space = {"id": new_id("Space"), "organization_id": new_id("Organization"), "name": name}
        space.update(description="", created_at=now(), is_private=False)
        self.spaces[space["id"]] = space
        self.annotation_configs[space["id"]] = set()
        return space

    def get(self, space_id: str) -> dict[str, Any]:
        if space_id not in self.spaces:
            raise Problem(404, f"space {space_id} not found")
        return self.spaces[space_id]

    def list(self, query: dict[str, str]) -> dict[str, Any]:
        rows = contains(self.spaces.values(), query.get("name"))
        return page(rows, "spaces", limit_of(query.get("limit"), 100), query.get("cursor"), lambda row: row["id"])

    def annotate(self, space_id: str, given: list[dict[str, Any]], rows: dict[str, dict[str, Any]]) -> None:
        """Upsert by name; ids that are unknown are ignored without a word."""
        for record in given:
            for value in record["values"]:
                if value["name"] not in self.annotation_configs[space_id]:
                    raise Problem(404, f"annotation config {value['name']!r} not found in the space")
        for record in given:
            if (row := rows.get(record["record_id"])) is None:
                continue
            notes = row.setdefault("annotations", [])
            for value in record["values"]:
                note = next((note for note in notes if note["name"] == value["name"]), None)
                if note is None:
                    note = {"name": value["name"], "score": None, "label": None, "text": None}
                    notes.append(note)
                note.update({name: part for name, part in value.items() if part is not None})
                note["updated_at"] = now()
                note["annotator"] = {"id": "VXNlcjoxOnh5eg==", "email": "annotator@example.com"}

    def create_tag(self, body: Any) -> dict[str, Any]:
        given = checked("CreateTagRequest", body)
        self.get(given["space_id"])
        for tag in self.tags.values():
            if tag["space_id"] == given["space_id"] and tag["name"].lower() == given["name"].lower():
                raise Problem(409, f"a tag named {given['name']!r} already exists in this space")
        tag = {"id": new_id("Tag"), "name": given["name"], "space_id": given["space_id"]}
        tag.update(description=None, color=None, created_at=now(), updated_at=now())
        self.tags[tag["id"]] = tag
        return tag

    def tags_of(self, resource: str) -> dict[str, Any]:
        found = [self.tags[tag_id] for tag_id in self.tagged.get(resource, [])]
        return {"tags": found, "pagination": {"has_more": False}}

    def add_tags(self, resource: str, space_id: str, body: Any) -> dict[str, Any]:
        for tag_id in checked("AddTagsRequest", body)["tag_ids"]:
            if self.tags.get(tag_id, {}).get("space_id") != space_id:
                raise Problem(422, f"tag {tag_id} is not one of this space")
            tagged = self.tagged.setdefault(resource, [])
            if tag_id not in tagged:
                tagged.append(tag_id)
        return self.tags_of(resource)

    def remove_tags(self, resource: str, body: Any) -> dict[str, Any]:
        given, there = checked("RemoveTagsRequest", body)["tag_ids"], self.tagged.get(resource, [])
        deleted = [tag_id for tag_id in given if tag_id in there]
        self.tagged[resource] = [tag_id for tag_id in there if tag_id not in deleted]
        left = [tag_id for tag_id in given if tag_id not in deleted]
        return {"completed": not left, "deleted": deleted, "not_deleted": left}
