"""Faults that somebody could make in what a recorded run of random changes has not covered, written by hand.

Of each file: the tests that are run, and where nothing fails those after them; then pairs of a piece of its text, which
it has once, and what stands there instead.
"""

Tests = tuple[list[str], ...]

CLIPS: Tests = (["tests/data/test_clips.py", "tests/data/test_augment.py"],)
DATASET: Tests = (["tests/data/test_clips.py", "tests/data/test_augment.py"], ["tests/data/test_faults_reading.py"])
CACHE: Tests = (["tests/data/test_cached.py"],)
ENGINE: Tests = (
    ["tests/models/test_mcvd.py", "tests/models/test_numbers.py"],
    [
        "tests/diffusion/test_context_noise.py",
        "tests/diffusion/test_determinism.py",
        "tests/diffusion/test_precision.py",
    ],
)
STORE: Tests = (["tests/diffusion/test_block_store.py"],)
EVALUATION: Tests = (["tests/evaluation/test_evaluate.py"], ["tests/evaluation/test_memory.py"])
AVERAGES: Tests = (["tests/training/test_ema.py"],)
CHECKPOINTS: Tests = (
    ["tests/training/test_resuming.py"],
    ["tests/training/test_fit.py", "-k", "not two_processes"],  # those start this program, with its own arguments
)
NOISE: Tests = (["tests/runtime/test_rng.py"], ["tests/models/test_mcvd.py", "tests/evaluation/test_protocols.py"])

MUTANTS: dict[str, tuple[Tests, list[tuple[str, str]]]] = {
    "mcvd/runtime/rng.py": (
        NOISE,
        [
            ("or seed < 0:", "or seed < -1:"),
            ("or isinstance(seed, bool) or", "or"),
            ("np.random.SeedSequence(seed, spawn_key=key)", "np.random.SeedSequence(seed)"),
            ("return torch.from_numpy(keyed_generator(key)", "return torch.from_numpy(keyed_generator(key[:-1])"),
            ('" ".join(map(str, key))', '"".join(map(str, key))'),
            ("digest_size=7", "digest_size=1"),
            ("        self.num_draws += 1\n", ""),
            (
                "self._next = _Drawing(x.shape, self.keys, self.num_draws, on_gpu) if on_gpu else None",
                "self._next = _Drawing(x.shape, self.keys, 0, on_gpu)",
            ),
            ("(row, (*key, number))", "(row, (number, *key))"),
            ("rows[first::_MAX_THREADS]) for", "rows[first + 1 :: _MAX_THREADS]) for"),
            ("drawing.finish().to(x.device, x.dtype, non_blocking=True)", "drawing.finish().to(x.device)"),
            ("keyed_seed(self.seed, index)", "keyed_seed(self.seed, 0)"),
            ("keyed_seed(self.seed, index)", "keyed_seed(index)"),
            ("uniform[:, 3:5], uniform[:, 5]", "uniform[:, 2:4], uniform[:, 5]"),
            ("uniform[:, 3:5], uniform[:, 5]", "uniform[:, 3:5], uniform[:, 4]"),
        ],
    ),
    "mcvd/data/clips/spec.py": (
        CLIPS,
        [
            ("stride=self.stride * speed", "stride=speed"),
            ("range(start, start + self.stride * self.num_frames, self.stride)",
             "range(start, start + self.num_frames)"),
            ("reach = (self.num_frames - 1) * period", "reach = self.num_frames * period"),
            ("times.end - frame / 2 - reach", "times.end - reach"),
            ('side="right"))', 'side="left"))'),
            ("edges = np.arange(clips + 1) * starts // clips", "edges = np.arange(clips + 1) * (starts - 1) // clips"),
            ("(starts - 1) // max(1, clips - 1)", "starts // max(1, clips)"),
            ("edges[:-1], edges[1:], even", "edges[1:], edges[:-1], even"),
            ("count_starts(times) > 0", "count_starts(times) > 1"),
            ("> longest_seconds:", "< longest_seconds:"),
            ("if len(self.size) != 2 or min(self.size) < 1:", "if len(self.size) != 2 or max(self.size) < 1:"),
            ("not 0 < self.frame_rate_hz <= MAX_RATE_HZ", "not 0 <= self.frame_rate_hz <= MAX_RATE_HZ"),
        ],
    ),
    "mcvd/data/clips/sampling.py": (
        CLIPS,
        [
            ("keyed_generator(seed, 0, epoch)", "keyed_generator(seed, 0, 0)"),
            ("keyed_generator(self.seed, 1, sample, attempt)", "keyed_generator(self.seed, 1, sample)"),
            ("keyed_generator(self.seed, 1, sample, attempt)", "keyed_generator(self.seed, 1, position, attempt)"),
            ("entry = replacement if attempt else", "entry = replacement if not attempt else"),
            ("random.integers(self.index.first[entry], self.index.stop[entry])",
             "random.integers(self.index.first[entry], self.index.stop[entry] + 1)"),
            ("corner=(down, right) if", "corner=(right, right) if"),
            ('self.spec.crop == "random" else None', 'self.spec.crop == "centre" else None'),
            ("flip=self.spec.flip and mirror < 0.5", "flip=self.spec.flip or mirror < 0.5"),
            ("min(self.num_clips, len(self.index))", "max(self.num_clips, len(self.index))"),
            ("(sample + attempt) % len(self) * len(self.index) // len(self)", "(sample + attempt) % len(self)"),
            ("(sample + attempt) % len(self) * len(self.index)", "sample % len(self) * len(self.index)"),
            ("int(self.index.even[entry])", "int(self.index.first[entry])"),
            ("videos[(position + attempt) % len(videos)]", "videos[position % len(videos)]"),
            ("keyed_generator(self.seed, sample, attempt).integers", "keyed_generator(self.seed, attempt).integers"),
            ("self.index.stop[own].max()", "self.index.stop[own].min()"),
        ],
    ),
    "mcvd/data/clips/augment.py": (
        CLIPS,
        [
            ("return video[:1].repeat", "return video[-1:].repeat"),
            ("min(self.max_speed, fastest)", "min(self.max_speed, fastest) - 1"),
            ("2 * x - 1 for x in jitter", "x for x in jitter"),
            ("still=still < self.still", "still=still <= self.still + 0.1"),
            ("self.reverse and direction < 0.5", "self.reverse and direction < 0.05"),
        ],
    ),
    "mcvd/data/clips/dataset.py": (
        DATASET,
        [
            ("    video = videos.read(clip.video, frames, spec.size)",
             "    video = videos.read(clip.video, spec.frames(videos.frame_times(clip.video), clip.start), spec.size)"),
            ("video.flip(-1) if clip.flip", "video.flip(-2) if clip.flip"),
            ("clip = self.clips(sample, attempt)", "clip = self.clips(sample, 0)"),
            ("except (VideoError, OSError) as fault:", "except VideoError as fault:"),
            ("if self.failures[video] == 1:", "if self.failures[video] >= 1:"),
            ("fit_frames(video, spec.size, spec.channels, clip.corner)",
             "fit_frames(video, spec.size, spec.channels, None)"),
        ],
    ),
    "mcvd/data/sources/cached.py": (
        CACHE,
        [
            ("if tuple(cover) != self.size:", "if False:"),
            ('self.size if self.crop == "centre" else None', "self.size"),
            ("return None\n            self._maps[index] = pixels",
             "return None\n            self._maps[0] = pixels"),
            ("self._maps.popitem(last=False)", "self._maps.popitem()"),
            ('return self.__dict__ | {"_maps": OrderedDict()}', "return self.__dict__"),
            ("key = [FORMAT, content, *self.size,", "key = [FORMAT, content,"),
            ("self.crop, self._channels, engine_version", "self.crop, engine_version"),
            ("json_digest(key + reading_facts(path))", "json_digest(key)"),
            ("is None or lock.exists():", "is None:"),
            ("        os.utime(entry)  # most recently used: deleted last\n", ""),
            ("range(num_frames)[start : start + _FRAMES_AT_ONCE]", "range(num_frames)[start : start + 1]"),
            ("reverse=True)\n        self.others", "reverse=False)\n        self.others"),
            ("if path.name not in wanted}", "if path.name in wanted}"),
            ("- sum(self.others.values()) + num_bytes > self.max_bytes", "+ num_bytes > self.max_bytes"),
            ("while self.used + num_bytes > self.max_bytes:", "while self.used > self.max_bytes:"),
            ("pixels.dtype == np.uint8 and len(pixels) == num_frames", "pixels.dtype == np.uint8"),
        ],
    ),
    "mcvd/diffusion/engine.py": (
        ENGINE,
        [
            ("partial(sample_block, part, [keys[v][s] for v in videos for s in samples])",
             "partial(sample_block, part, [keys[v][s] for s in samples for v in videos])"),
            ("(options.seed, options.first_video + video)", "(options.seed, video)"),
            ("range(options.first_sample, options.first_sample + options.num_samples)", "range(options.num_samples)"),
            ("names = [(seed, 0) for seed in options.seed]", "names = [(options.seed[0], 0) for seed in options.seed]"),
            ("samples.start : samples.stop] = finished", "samples.start :] = finished"),
            ("frames if num_samples > 1 else frames[:, 0]", "frames if num_samples > 1 else frames[0]"),
            ("limit // options.num_samples), min(limit, options.num_samples)",
             "limit // options.num_samples), options.num_samples"),
            ("(1 if options.guidance == 1 else 2)", "1"),
        ],
    ),
    "mcvd/diffusion/block_sampler.py": (
        ENGINE,
        [
            ("normal = KeyedNoise([(*key, number) for", "normal = KeyedNoise([(*key, 0) for"),
            ("(*key, number, _OF_CONTEXT)", "(*key, number)"),
            ("if self.options.context_noise and sees_generated:", "if self.options.context_noise:"),
            ("        if not frames.isfinite().all():", "        if not frames.isfinite().any():"),
            ("draw(blank) * size", "draw(blank)"),
            ("        module.train(before)", "        module.train(True)"),
        ],
    ),
    "mcvd/diffusion/block_store.py": (
        STORE,
        [
            ("self._num_exact = 2 * (reach + 1)", "self._num_exact = reach"),
            ("if stored.shape != tuple(shape) or", "if"),
            ('{number:06d}-{part}.npy"', '{number:06d}.npy"'),
            ("return model_from_pixels(frames) if frames.dtype == torch.uint8 else frames",
             "return frames.float()"),
        ],
    ),
    "mcvd/evaluation/evaluate.py": (
        EVALUATION,
        [
            ("seeds.getrandbits(48) for _ in batch", "seed for _ in batch"),
            ("first = target.shape[1:], num_clips", "first = target.shape[1:], number"),
            ("    check_finite({f", "    str({f"),
            ('["mean_of_K"] = mean_of_samples(form)[:, None]', '["mean_of_K"] = form[:, :1]'),
            ('ranked=name != "best_of_K"', "ranked=True"),
            ("return 255 * torch.cat(mse).mean().sqrt().item()", "return 255 * torch.cat(mse).sqrt().mean().item()"),
            ("batch_size // num_samples), progress", "batch_size), progress"),
        ],
    ),
    "mcvd/evaluation/statistics.py": (
        EVALUATION,
        [
            ("metric.best(metric.finish(mean_of_known(per_frame, -1)), 1)", "metric.best(per_frame[:, :, 0], 1)"),
            ("mean_of_known(finish(mean_of_known(per_frame, -1)), 1)", "finish(per_frame.mean((1, 2)))"),
            ("mean_of_known(finish[name](values).flatten(0, 1), 0)",
             "finish[name](mean_of_known(values.flatten(0, 1), 0))"),
            ("if len(values) < 2:", "if len(values) < 1:"),
            ("zip(low.tolist(), high.tolist(), strict=True)", "zip(high.tolist(), low.tolist(), strict=True)"),
        ],
    ),
    "mcvd/training/ema.py": (
        AVERAGES,
        [
            ("if not 0 <= decay < 1:", "if not 0 <= decay <= 1:"),
            ("(1 + step) / (10 + step)", "step / (10 + step)"),
            ("1 - decay if step else 1.0", "1 - decay"),
            ("        self.n_averaged += 1\n", ""),
            ("            own.copy_(buffer)", "            own.copy_(own)"),
            ("        self._exchange(pl_module, False)  # a second fit", "        # a second fit"),
            ("        if self._exchanged:\n            raw", "        if not self._exchanged:\n            raw"),
            ("            self._exchange(pl_module, before)", "            self._exchange(pl_module, False)"),
        ],
    ),
    "mcvd/training/checkpoints.py": (
        CHECKPOINTS,
        [
            ("keep_every_n_steps % every_n_steps):", "False):"),
            ("or step == trainer.max_steps)", "or False)"),
            ("                write_training_row(trainer)", "                pass"),
            ("if self._waits_for_validation:\n            self._save", "if False:\n            self._save"),
            ("elif self._between_steps and trainer", "elif trainer"),
            ("if trainer.is_global_zero:\n                atomic_link(kept, self.path)", "pass"),
            ("self._reported = total\n", "self._reported = 0\n"),
            ("stuck = longest >= MAX_SKIPPED_IN_A_ROW", "stuck = longest > MAX_SKIPPED_IN_A_ROW"),
            ("stuck or not bool(torch.isfinite(norm))", "stuck"),
        ],
    ),
    "mcvd/training/checkpoint_io.py": (
        CHECKPOINTS,
        [
            ("with atomic_write(path) as part:\n                torch.save(checkpoint, part)",
             "torch.save(checkpoint, path)"),
            ("return numbered[max(numbered)]", "return found[-1]"),
            ("except (OSError, RuntimeError) as error:  # torch", "except OSError as error:  # torch"),
        ],
    ),
}  # fmt: skip
