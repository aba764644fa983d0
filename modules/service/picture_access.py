"""Pictures by their addresses: whose they are, where their files are, what is in them."""

from __future__ import annotations

from pathlib import Path

from modules.schema.errors import NotFound
from modules.service.jobs import Jobs
from modules.service.outputs import Outputs
from modules.service.pictures import Pictures


class PictureAccess:
    """The part of the App that gives pictures out."""

    _jobs: Jobs
    _outputs: Outputs
    _pictures: Pictures

    def image_path(self, name: str, owner: str | None = None) -> Path:
        """The file of a picture by its address (`ImageSaved.name`); raises NotFound.

        With `owner` only that owner's pictures are found; without, any file below the outputs folder.
        """
        whose = self._pictures.owner(name)
        if whose is not None and owner in (None, whose):
            return self._pictures.path(name)
        if owner is None:
            return self._outputs.path(name)
        raise NotFound(f"There is no picture {name!r}.")

    def image_data(self, name: str, owner: str) -> bytes:
        """A picture's PNG file by its address, also when it could not be written; raises NotFound."""
        if self._pictures.owner(name) != owner:
            raise NotFound(f"There is no picture {name!r}.")
        return self._pictures.data(name)

    def image_bytes(self, job_id: str, index: int, owner: str) -> bytes:
        """The PNG file of picture `index` of a job; raises NotFound."""
        job = self._jobs.find(job_id, owner)
        for image in job.images:
            if image.index == index:
                return self._pictures.data(image.name)
        raise NotFound(f"The job has no picture {index} (yet).")
