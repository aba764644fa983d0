"""From what was asked to what is run, for every kind of order: resolved at the door, planned when it runs."""

from __future__ import annotations

from collections.abc import Callable

from modules.catalog.upscalers import UpscalerCatalog
from modules.schema.captioning import CaptionRequest, InterrogateRequest
from modules.schema.engine import ModelRef
from modules.schema.errors import BadRequest
from modules.schema.events import Notice
from modules.schema.extras import ExtrasRequest
from modules.schema.merge import MergeRequest
from modules.schema.orders import AnyOrder
from modules.schema.parts import LATENT_UPSCALERS
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.schema.training import TrainingRequest
from modules.service.captioning import CaptionDoor
from modules.service.inputs import InputPictures
from modules.service.named import Named
from modules.service.plans import OnePart, Part, Plan, Program, ScriptPlan
from modules.service.prompts import request_problems
from modules.service.scripts.table import make_program, prepared
from modules.service.training.door import TrainingDoor

NO_MODEL = ModelRef(checkpoint="")
MOST_CELLS = 2000
MOST_PICTURES = 10_000

Untrained = GenerationRequest | ExtrasRequest | MergeRequest | CaptionRequest | InterrogateRequest
ResolveRequest = Callable[[GenerationRequest], tuple[GenerationRequest, ModelRef]]
FindMerge = Callable[[MergeRequest], tuple[MergeRequest, dict[str, str]]]


class Planner:
    """Knows where an order's names are looked up. `resolve` does it for a request, `find_merge` for a merge."""

    def __init__(
        self,
        resolve: ResolveRequest,
        find_merge: FindMerge,
        upscalers: UpscalerCatalog,
        inputs: InputPictures,
        training: TrainingDoor,
        captions: CaptionDoor,
        prompted: Callable[[GenerationRequest], GenerationRequest] = lambda request: request,
    ) -> None:
        self._prompted = prompted
        self._resolve = resolve
        self._find_merge = find_merge
        self._upscalers = upscalers
        self._inputs = inputs
        self._training = training
        self._captions = captions

    def at_the_door(self, order: AnyOrder) -> tuple[AnyOrder, ModelRef]:
        """The resolved order and the model it begins with; raises UserErrors for whatever cannot be run."""
        if isinstance(order, ScriptRequest):
            return self._script(order)
        if isinstance(order, TrainingRequest):
            return self._training.at_the_door(order)
        part = self._part(order)
        if isinstance(order, CaptionRequest):
            self._captions.note_way_back(order)
        return part.request, part.model

    def plan(self, order: AnyOrder) -> Plan:
        """How a resolved order is run; raises UserErrors where a file has gone meanwhile."""
        if isinstance(order, ScriptRequest):
            program = make_program(order, self._inputs)
            return ScriptPlan(program, [program.size(index) for index in range(program.cells)], self._part)
        return OnePart(self._training.part(order) if isinstance(order, TrainingRequest) else self._part(order))

    def _part(self, request: Untrained) -> Part:
        if isinstance(request, GenerationRequest):
            resolved, model = self._resolve(request)
            prompted = self._prompted(resolved)
            if prompted != resolved:
                resolved, model = self._resolve(prompted)
            return Part(resolved, model, self._files(resolved))
        if isinstance(request, ExtrasRequest):
            return self._extras(request)
        if isinstance(request, CaptionRequest):
            resolved_captions, files = self._captions.caption(request)
            return Part(resolved_captions, NO_MODEL, files=files)
        if isinstance(request, InterrogateRequest):
            resolved_look, files = self._captions.look(request)
            return Part(resolved_look, NO_MODEL, files=files)
        resolved_merge, files = self._find_merge(request)
        return Part(resolved_merge, NO_MODEL, files=files)

    def _files(self, request: GenerationRequest) -> dict[str, str]:
        """Files of a resolved request's upscalers and face restorer; raises UnknownName."""
        files = self._upscaler_files(*_upscalers(request))
        if request.face_restoration != "None":
            kind = request.face_restoration
            files[kind] = str(self._upscalers.face_restorer(kind, "face_restoration"))
        return files

    def _extras(self, request: ExtrasRequest) -> Part:
        if not request.pictures:
            raise BadRequest("There is no picture to work on: choose one first.", "pictures")
        for name in request.pictures:
            self._inputs.path(name)
        first = self._upscalers.find(request.upscaler_1, "upscaler_1").name
        second = self._upscalers.find(request.upscaler_2, "upscaler_2").name
        files = self._upscaler_files(first, second)
        if request.gfpgan_visibility:
            files["GFPGAN"] = str(self._upscalers.face_restorer("GFPGAN", "gfpgan_visibility"))
        if request.codeformer_visibility:
            files["CodeFormer"] = str(self._upscalers.face_restorer("CodeFormer", "codeformer_visibility"))
        request, folders = self._captions.extras(request)
        return Part(request.replace(upscaler_1=first, upscaler_2=second), NO_MODEL, files, folders)

    def _upscaler_files(self, *names: str) -> dict[str, str]:
        entries = {name: self._upscalers.find(name, "upscaler") for name in names}
        return {name: str(entry.path) for name, entry in entries.items() if entry.path is not None}

    def _script(self, order: ScriptRequest) -> tuple[ScriptRequest, ModelRef]:
        """Every cell is resolved once, so that a mistake in the last one is told now."""
        order, cells_draw = prepared(order)
        base, model = self._resolve(order.base)
        keeps_random = cells_draw and order.base.seed == -1
        resolved = order.replace(base=base.replace(seed=-1) if keeps_random else base)
        program = make_program(resolved, self._inputs)
        sizes = _checked_sizes(program)
        if not program.in_order:
            for index in range(program.cells):
                self._part(program.cell(index))
        return resolved.replace(cells=program.cells, images=sum(sizes)), model


def _checked_sizes(program: Program) -> list[int]:
    if not 0 < program.cells <= MOST_CELLS:
        raise BadRequest(f"This script would draw {program.cells} cells; possible are 1 to {MOST_CELLS}.", "script")
    sizes = [program.size(index) for index in range(program.cells)]
    if sum(sizes) > MOST_PICTURES:
        raise BadRequest(f"This script would draw {sum(sizes)} pictures; possible are {MOST_PICTURES}.", "script")
    return sizes


def _upscalers(request: GenerationRequest) -> list[str]:
    """Names of the upscalers a request uses, without the latent modes."""
    names = [part.upscaler for part in (request.image, request.hires) if part is not None]
    return [name for name in names if name not in LATENT_UPSCALERS]


def door_notices(asked: AnyOrder, resolved: AnyOrder, named: Named, training: TrainingDoor) -> list[Notice]:
    """What was changed, cannot be read, or may be a mistake in what was asked for."""
    if isinstance(resolved, TrainingRequest):
        return [Notice(sentence, "warning") for sentence in training.warnings(resolved)]
    asked = asked.base if isinstance(asked, ScriptRequest) else asked
    resolved = resolved.base if isinstance(resolved, ScriptRequest) else resolved
    if not isinstance(asked, GenerationRequest) or not isinstance(resolved, GenerationRequest):
        return []
    size = f"{resolved.width}x{resolved.height}"
    rounded = (asked.width, asked.height) != (resolved.width, resolved.height)
    notices = [Notice(f"The size was rounded to {size}: sides are multiples of 8 pixels.")] if rounded else []
    problems = (*request_problems(resolved), *named.problems(resolved))
    return [*notices, *(Notice(sentence, "warning") for sentence in problems)]
