"""The student of a model: an ordinary model with its teacher's tasks, which a resumed training makes bit for bit."""

import copy
from dataclasses import fields

import pytest
import torch
import yaml
from reference.tiny import pixels, tiny_config
from reference.tiny_fit import TINY, assert_same_run

import mcvd
from mcvd.apps.cli.main import main
from mcvd.diffusion import TaskSamplers
from mcvd.diffusion.distillation import Distillation
from mcvd.frames import model_from_pixels
from mcvd.samplers import DDIM, LogSNR, SASolver, Uniform
from mcvd.training.distill import Student
from mcvd.training.distill_cli import run_distill

PREDICTS = {
    "eps": {"schedule": {"class_path": "mcvd.noise.LinearBeta"}},
    "x0": {},
    "v": {"masking": {"p_past": 0.5, "p_future": 0.5, "p_partial": 0.5}},
    "edm": {"reference": "context", "reference_floor": 0.02, "colored_noise": True, "frame_rate_hz": 10.0},
}


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    """A model of each parametrization, with weights that say something."""
    folder, torch_state = tmp_path_factory.mktemp("teachers"), torch.get_rng_state()
    for predicts, options in PREDICTS.items():
        torch.manual_seed(0)
        cosine = {"schedule": {"class_path": "mcvd.noise.Cosine"}}
        model = mcvd.models.MCVD.from_config(tiny_config(channels=3) | {"predicts": predicts} | cosine | options)
        for weight in model.parameters():
            torch.nn.init.normal_(weight, std=0.1)
        model.save_pretrained(folder / predicts)
    torch.set_rng_state(torch_state)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "data.yaml"
    path.write_text(yaml.safe_dump({"data": TINY["data"]}))
    return str(path)


def distil(teacher, data, root, *options):
    told = []
    fixed = ["--trainer.accelerator=cpu", "--preview.every_n_steps=null", f"--trainer.default_root_dir={root}"]
    run_distill([str(teacher), "--config", data, *fixed, *options], told.append)
    return told


def test_a_student_is_a_model_of_the_same_tasks_and_resumes_bit_for_bit(teachers, data, tmp_path):
    options = ["--calls", "2", "--method=consistency", "--trainer.max_steps=4", "--checkpoints.every_n_steps=2"]
    distil(teachers / "edm", data, tmp_path, *options, "--checkpoints.keep_every_n_steps=2")
    run = tmp_path / "run-1"
    whole = torch.load(run / "last.ckpt", weights_only=True)
    told = distil(teachers / "edm", data, tmp_path / "again", *options, f"--ckpt_path={run / 'step-000002.ckpt'}")
    assert not any("other options" in line for line in told)
    assert_same_run(torch.load(tmp_path / "again/run-1/last.ckpt", weights_only=True), whole)

    student, teacher = mcvd.load(run), mcvd.load(teachers / "edm")
    assert student.facts().tasks == teacher.facts().tasks and student.block == teacher.block
    assert student.samplers.predict == student.samplers.generate == DDIM(2, clip=False)
    assert student.state_dict().keys() == teacher.state_dict().keys()
    changed = [not torch.equal(value, teacher.state_dict()[name]) for name, value in student.state_dict().items()]
    assert any(changed)
    past = pixels(1, 2, 3, 16, 16)
    assert torch.equal(student.predict(past, 3), student.predict(past, 3, sampler=DDIM(2, clip=False)))
    student.save_pretrained(tmp_path / "student")
    assert mcvd.load(tmp_path / "student").samplers == student.samplers


def test_a_resumed_run_tells_what_is_taught_otherwise_now(teachers, data, tmp_path):
    options = ["--calls=2", "--checkpoints.every_n_steps=1", f"--trainer.default_root_dir={tmp_path}"]
    distil(teachers / "x0", data, tmp_path, *options, "--parts=3", "--trainer.max_steps=1")
    options += ["--ckpt_path=last", "--method=consistency", "--trainer.max_steps=2"]
    other = mcvd.load(teachers / "x0")
    next(other.parameters()).mul_(2)
    other.save_pretrained(tmp_path / "other")
    told = "\n".join(distil(tmp_path / "other", data, tmp_path, *options))
    for change in ("method progressive -> consistency", "order 2 -> 1", "parts 3 -> 5", "teacher "):
        assert f" model.{change}" in told
    assert "model.guidance" not in told and "model.calls" not in told


@pytest.mark.parametrize("predicts", PREDICTS)
@pytest.mark.parametrize("method", ["progressive", "consistency"])
def test_a_student_learns_its_target_whatever_its_teacher_predicts(teachers, predicts, method):
    student = Student(str(teachers / predicts), calls=2, method=method)
    clips = {"video": pixels(2, 7, 3, 16, 16), "index": [0, 1]}
    loss = student.loss(clips)
    assert loss.shape == (2,) and (loss > 0).all()
    before = loss.mean().item()
    loss.mean().backward()
    weights = [weight for weight in student.parameters() if weight.grad is not None]
    length = sum(weight.grad.square().sum() for weight in weights).item()
    with torch.no_grad():
        for weight in weights:
            weight -= 1e-3 * before / length * weight.grad
    assert student.loss(clips).mean().item() < before
    assert not any(weight.requires_grad for weight in student._teacher.model.parameters())


def test_a_student_calls_where_its_teachers_own_sampler_does(teachers, tmp_path):
    assert Student(str(teachers / "edm"), calls=3).samplers.predict == DDIM(3, clip=False)
    teacher = mcvd.load(teachers / "edm")
    teacher.samplers = TaskSamplers(backward=SASolver(8, spacing=LogSNR(sigma_min=0.25)))
    teacher.save_pretrained(tmp_path / "tuned")
    student = Student(str(tmp_path / "tuned"), calls=3)
    own = LogSNR(sigma_min=0.25)
    assert student.samplers.predict == student.samplers.generate == DDIM(3, clip=False, spacing=own)
    assert Student(str(tmp_path / "tuned"), calls=3, spacing=Uniform()).samplers.predict == DDIM(3, clip=False)


def test_the_teacher_takes_steps_of_the_second_order_unless_it_was_taught_to_land(teachers, tmp_path):
    assert Student(str(teachers / "edm")).distillation.order == 2
    assert Student(str(teachers / "edm"), order=1).distillation.order == 1
    assert Student(str(teachers / "edm"), method="consistency").distillation.order == 1
    teacher = mcvd.load(teachers / "edm")
    teacher.samplers = TaskSamplers(predict=DDIM(8))
    teacher.save_pretrained(tmp_path / "student")
    assert Student(str(tmp_path / "student")).distillation.order == 1


@pytest.mark.parametrize("predicts", PREDICTS)
def test_only_estimates_that_overshoot_are_clipped(teachers, predicts):
    """Those of a network that predicts the noise, and guided ones; the teacher walks as the student samples."""
    student = Student(str(teachers / predicts), calls=3)
    assert student.samplers.predict.clip == student.distillation.sampler.clip == (predicts == "eps")
    if student.facts().guidance:
        assert Student(str(teachers / predicts), calls=3, guidance=2.0).samplers.predict.clip


def test_guidance_is_distilled_along(teachers):
    """Where all context is hidden the guided teacher is the teacher; elsewhere the student learns something else."""
    plain, guided = (Student(str(teachers / "v"), guidance=weight) for weight in (1.0, 3.0))
    plain.distillation = guided.distillation  # which clips
    clips = {"video": pixels(8, 7, 3, 16, 16), "index": list(range(8))}
    hidden = ~plain.draw(clips)[1].keep.any(1)
    assert hidden.any() and not hidden.all()
    same = torch.isclose(plain.loss(clips), guided.loss(clips), rtol=1e-4)
    assert torch.equal(same, hidden)


def test_a_perfect_student_has_no_loss(teachers):
    """The loss is of the clean estimate at the student's times: with the targets as estimates nothing is left."""
    student = Student(str(teachers / "x0"), calls=3)
    asked = []
    distillation = student.distillation

    class Recording(Distillation):
        def target(self, noisy, times, teacher, own, schedule):
            asked.append((times, super().target(noisy, times, teacher, own, schedule)))
            return asked[-1][1]

    student.distillation = Recording(*(getattr(distillation, field.name) for field in fields(distillation)))
    estimated = []
    student.denoiser.estimate = lambda noisy, t, condition: estimated.append(t) or asked[-1][1]
    assert student.loss({"video": pixels(4, 7, 3, 16, 16), "index": [0, 1, 2, 3]}).abs().max() == 0
    assert torch.equal(estimated[0], asked[0][0][:, 0].float())


def saved(folder, **options):
    torch.manual_seed(0)
    model = mcvd.models.MCVD.from_config(tiny_config(net="SpaceTimeUNet") | {"predicts": "x0"} | options)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("method", ["progressive", "consistency"])
def test_given_frames_are_seen_as_they_are_and_cost_nothing(method, tmp_path):
    masking = {"p_past": 0.5, "p_future": 0.5, "p_any": 1.0}
    saved(tmp_path / "any", masking=masking, reference="given", frame_noise={"p_own": 0.5})
    student = Student(str(tmp_path / "any"), calls=2, parts=2, method=method)
    assert not student.frame_noise and not mcvd.MCVD.from_config(student.config).frame_noise  # rolling is forgotten
    batch = {"video": pixels(4, 7, 1, 16, 16), "index": [0, 1, 2, 3]}
    given = student.draw(batch).condition.keep_given[..., None, None, None]
    asked = []
    for denoiser in (student.denoiser, student._teacher.model.denoiser):
        denoiser.net.register_forward_pre_hook(lambda net, arguments: asked.append(arguments))
    whole = student.loss(batch)
    clean = model_from_pixels(batch["video"])[:, 2:5]
    for noisy, label, _ in asked:
        assert torch.equal(noisy * given, clean * given) and (label == 1000).eq(given.flatten(1)).all()
    assert given.any() and not given.all() and whole.isfinite().all() and whole.gt(0).all()


def test_a_checkpoint_has_the_same_student_as_what_is_exported_of_it(tmp_path):
    """Choices of its training, such as context of its own making, are none of the student's."""
    model = saved(tmp_path / "exported", self_context=1.0, adversarial=0.5)
    torch.save({"state_dict": model.state_dict(), "config": model.config}, tmp_path / "last.ckpt")
    clips = {"video": pixels(4, 7, 1, 16, 16), "index": [0, 1, 2, 3]}
    students = [Student(str(tmp_path / name)).train() for name in ("exported", "last.ckpt")]
    assert not any(each.self_context or each.config["self_context"] for each in students)
    assert torch.equal(*(each.loss(clips) for each in students))


def test_the_teacher_is_neither_saved_nor_copied(teachers):
    student = Student(str(teachers / "x0"))
    assert not any("teacher" in name for name in student.state_dict())
    assert copy.deepcopy(student)._teacher is student._teacher


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name the teacher"),
        (["nowhere", "--data.root", "."], "nowhere"),
        (["{x0}", "--config", "{data}", "--calls", "0"], "calls must be 1"),
        (["{x0}", "--config", "{data}", "--parts", "1"], "2 of the teacher's"),
        (["{x0}", "--config", "{data}", "--calls", "2", "--parts", "1000000"], "calls * parts = 2000000 calls"),
        (["{x0}", "--config", "{data}", "--method", "adversarial"], "progressive"),
        (["{x0}", "--config", "{data}", "--trainer.strategy", "fsdp"], "ddp"),
        (["{x0}", "--config", "{data}", "--callz", "2"], "no option --callz"),
    ],
)
def test_mistakes_are_told_in_a_line(teachers, data, tmp_path, capsys, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    words = [word.format(x0=teachers / "x0", data=data) for word in words]
    assert main(["distill", *words]) != 0
    told = capsys.readouterr().err
    assert message in told and len(told.splitlines()) == 1
    assert not [*tmp_path.iterdir()]
