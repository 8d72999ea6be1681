"""Transcripts against a server: as they are written, or cut into other segments."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from wirechat_conformance import steps
from wirechat_conformance.connection import Cut, whole
from wirechat_conformance.conversation import Conversation
from wirechat_conformance.failure import Failure
from wirechat_conformance.run import Run
from wirechat_conformance.transcript import Transcript


def replay(
    run: Run,
    transcript: Transcript,
    cut: Cut = whole,
    *,
    together: bool = False,
    twin: bool = True,
) -> None:
    """Replay a transcript, its twin first.

    Args:
        run: The run that it is part of.
        transcript: What to replay.
        cut: Cuts what is sent at once into segments.
        together: Send what can be sent together in one piece (FRM-4).
        twin: Whether to replay its twin, where it has one.

    Raises:
        Failure: A step did not come true.
    """
    if twin and transcript.has_twin:
        try:
            _perform(run, transcript, transcript.twin(), cut, together)
        except Failure as failure:
            failure.detail = f"in the twin, which must be accepted; {failure.detail}"
            raise
    _perform(run, transcript, transcript.case(), cut, together)


def _perform(
    run: Run, transcript: Transcript, script: list[steps.Step], cut: Cut, together: bool
) -> None:
    names = run.names.for_transcript(transcript.names)
    script = list(blaming(list(pipelined(script)) if together else script))
    with Conversation(run, names, cut, together=together) as conversation:
        for step, behind in zip(script, [*script[1:], None], strict=True):
            # What is closed right behind a request leaves together with it: so no
            # reply can meet a closed socket before, and be answered with a reset.
            conversation.hold = (
                isinstance(behind, steps.Close | steps.HalfClose)
                and behind.connection == step.connection
            )
            conversation.perform(step)


def blaming(script: Sequence[steps.Step]) -> Iterator[steps.Step]:
    """Give the steps, what is done with the rules by which it is seen to be right.

    These are named next on its connection, or on any. What is repeated sees its own
    replies.
    """
    for number, step in enumerate(script):
        if isinstance(step, steps.Action) and not isinstance(step, steps.Repeat):
            ahead = [seen for seen in script[number:] if seen.rules]
            own = (seen for seen in ahead if seen.connection == step.connection)
            seen = next(own, ahead[0] if ahead else None)
            step = replace(step, rules=seen.rules if seen else ())
        yield step


def pipelined(script: Sequence[steps.Step]) -> Iterator[steps.Step]:
    """Give the steps with requests moved ahead of the replies to those before them.

    The order between connections stays, and so does that of all requests on each. A
    request that is to be refused goes alone: it may end the connection.
    """
    replies: list[steps.Step] = []
    for step, behind in zip(script, [*script[1:], None], strict=True):
        movable = type(step) is steps.Send and not isinstance(behind, steps.Refusal)
        same = bool(replies) and replies[-1].connection == step.connection
        if isinstance(step, steps.Receive | steps.ReceiveNames):
            if not same:
                yield from replies
                replies.clear()
            replies.append(step)
            continue
        if not (movable and same):
            yield from replies
            replies.clear()
        yield step
    yield from replies
