"""Rotations of three-dimensional space as unit quaternions (x, y, z, w), singly or in stacks.

A Rotation is a tree of one array [..., 4], so that jit, vmap and grad take it.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

import fx.numpy as fnp

__all__ = ["Rotation", "Slerp"]

_AXES = {"x": 0, "y": 1, "z": 2}


class Rotation(NamedTuple):
    """A rotation, or a stack of them; make one with a `from_` method.

    >>> Rotation.from_euler("z", 90, degrees=True).apply(fnp.array([1.0, 0.0, 0.0])).round(3)
    Array([0., 1., 0.], dtype=float32)
    """

    quat: Any

    @classmethod
    def from_quat(cls, quat: Any) -> Rotation:
        """From quaternions [..., 4], scaled to unit length."""
        quat = fnp.asarray(quat, fnp.result_type(float))
        return cls(quat / fnp.linalg.norm(quat, axis=-1, keepdims=True))

    @classmethod
    def from_rotvec(cls, rotvec: Any, degrees: bool = False) -> Rotation:
        """From axes whose length is the angle, [..., 3]."""
        rotvec = fnp.asarray(rotvec, fnp.result_type(float))
        rotvec = fnp.deg2rad(rotvec) if degrees else rotvec
        square = fnp.sum(rotvec * rotvec, -1, keepdims=True)
        small = square < 1e-6
        angle = fnp.sqrt(fnp.where(small, 1.0, square))
        series = 0.5 - square / 48 + square * square / 3840
        scale = fnp.where(small, series, fnp.sin(angle / 2) / angle)
        whole = fnp.where(small, 1 - square / 8, fnp.cos(angle / 2))
        return cls(fnp.concatenate([scale * rotvec, whole], -1))

    @classmethod
    def from_mrp(cls, mrp: Any) -> Rotation:
        """From modified Rodrigues parameters: the axis times tan(angle / 4), [..., 3]."""
        mrp = fnp.asarray(mrp, fnp.result_type(float))
        square = fnp.sum(mrp * mrp, -1, keepdims=True)
        return cls(fnp.concatenate([2 * mrp, 1 - square], -1) / (1 + square))

    @classmethod
    def from_matrix(cls, matrix: Any) -> Rotation:
        """From orthogonal matrices [..., 3, 3], by their largest diagonal term."""
        m = fnp.asarray(matrix, fnp.result_type(float))
        d = fnp.diagonal(m, axis1=-2, axis2=-1)
        trace = d.sum(-1, keepdims=True)
        rows = []
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            row: list[Any] = [None] * 4
            row[i] = 1 - trace[..., 0] + 2 * d[..., i]
            row[j] = m[..., j, i] + m[..., i, j]
            row[k] = m[..., k, i] + m[..., i, k]
            row[3] = m[..., k, j] - m[..., j, k]
            rows.append(fnp.stack(row, -1))
        turned = [
            m[..., (i + 2) % 3, (i + 1) % 3] - m[..., (i + 1) % 3, (i + 2) % 3] for i in range(3)
        ]
        rows.append(fnp.stack([*turned, 1 + trace[..., 0]], -1))
        best = fnp.argmax(fnp.concatenate([d, trace], -1), -1)
        chosen = fnp.take_along_axis(fnp.stack(rows, -2), best[..., None, None], -2)
        return cls.from_quat(chosen[..., 0, :])

    @classmethod
    def from_euler(cls, seq: str, angles: Any, degrees: bool = False) -> Rotation:
        """From angles about axes in turn: "xyz" about fixed axes, "XYZ" about those that turn."""
        if not re.fullmatch("[xyz]{1,3}|[XYZ]{1,3}", seq):
            raise ValueError(f"Expected axes from 'xyz' or from 'XYZ', one to three, got {seq!r}")
        angles = fnp.asarray(angles, fnp.result_type(float))
        angles = fnp.deg2rad(angles) if degrees else angles
        if len(seq) == 1 and (angles.ndim == 0 or angles.shape[-1] != 1):
            angles = angles[..., None]
        if angles.shape[-1] != len(seq):
            raise ValueError(f"from_euler: {len(seq)} axes need as many angles, got {angles.shape}")
        result = None
        for k, name in enumerate(seq):
            axis = np.eye(3, dtype=np.float32)[_AXES[name.lower()]]
            turn = cls.from_rotvec(angles[..., k, None] * axis)
            if result is None:
                result = turn
            else:
                result = turn * result if seq.islower() else result * turn
        assert result is not None
        return result

    @classmethod
    def identity(cls, num: int | None = None, dtype: Any = float) -> Rotation:
        """No rotation, or a stack of `num`."""
        one = fnp.array([0.0, 0.0, 0.0, 1.0], fnp.result_type(dtype))
        return cls(one if num is None else fnp.tile(one, (num, 1)))

    @classmethod
    def random(cls, random_key: Any, num: int | None = None) -> Rotation:
        """Uniformly distributed rotations.

        Normalised normal quaternions.
        """
        from fx import random

        return cls.from_quat(random.normal(random_key, (4,) if num is None else (num, 4)))

    @classmethod
    def concatenate(cls, rotations: Any) -> Rotation:
        """One stack of several rotations."""
        return cls(fnp.concatenate([fnp.atleast_2d(r.quat) for r in rotations]))

    @property
    def single(self) -> bool:
        """Whether it is one rotation, not a stack."""
        return self.quat.ndim == 1

    def __getitem__(self, index: Any) -> Rotation:
        return Rotation(self.quat[index])

    def __len__(self) -> int:
        return self.quat.shape[0]

    def __mul__(self, other: Rotation) -> Rotation:  # type: ignore[override]
        """This after the other."""
        p, q = self.quat, other.quat
        pv, pw, qv, qw = p[..., :3], p[..., 3:], q[..., :3], q[..., 3:]
        vector = pw * qv + qw * pv + fnp.cross(pv, qv)
        whole = pw * qw - fnp.sum(pv * qv, -1, keepdims=True)
        return Rotation.from_quat(fnp.concatenate([vector, whole], -1))

    def as_quat(self, canonical: bool = False, scalar_first: bool = False) -> Any:
        """Quaternions [..., 4]; canonical: with w >= 0."""
        q = fnp.where(self.quat[..., 3:] < 0, -self.quat, self.quat) if canonical else self.quat
        return fnp.roll(q, 1, -1) if scalar_first else q

    def as_matrix(self) -> Any:
        """Matrices [..., 3, 3]."""
        x, y, z, w = (self.quat[..., k] for k in range(4))
        rows = [
            [x * x - y * y - z * z + w * w, 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), -x * x + y * y - z * z + w * w, 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), -x * x - y * y + z * z + w * w],
        ]
        return fnp.stack([fnp.stack(row, -1) for row in rows], -2)

    def as_rotvec(self, degrees: bool = False) -> Any:
        """Axes whose length is the angle, [..., 3]."""
        q = self.as_quat(canonical=True)
        square = fnp.sum(q[..., :3] ** 2, -1, keepdims=True)
        small = square < 1e-6
        length = fnp.sqrt(fnp.where(small, 1.0, square))
        angle = 2 * fnp.arctan2(length, q[..., 3:])
        scale = fnp.where(small, 2 + square / 3, angle / length)
        return fnp.rad2deg(scale * q[..., :3]) if degrees else scale * q[..., :3]

    def as_mrp(self) -> Any:
        """Modified Rodrigues parameters [..., 3]."""
        q = self.as_quat(canonical=True)
        return q[..., :3] / (1 + q[..., 3:])

    def as_euler(self, seq: str, degrees: bool = False) -> Any:
        """Three angles about axes in turn, as `from_euler` takes them.

        [..., 3] in radians unless degrees. ValueError for other axes.
        """
        if not re.fullmatch("[xyz]{3}|[XYZ]{3}", seq) or seq[0] == seq[1] or seq[1] == seq[2]:
            raise ValueError(
                f"Expected three axes of which no two neighbours are equal, got {seq!r}"
            )
        i, j, k = (_AXES[c] for c in (seq if seq.islower() else seq[::-1].lower()))
        m = self.as_matrix()
        proper = i == k
        third = 3 - i - j
        sign = 1.0 if (j - i) % 3 == 1 else -1.0
        if proper:  # about i, then j, then i again: m = R_i(c) R_j(b) R_i(a)
            b = fnp.arccos(fnp.clip(m[..., i, i], -1.0, 1.0))
            a = fnp.arctan2(m[..., i, j], sign * m[..., i, third])
            c = fnp.arctan2(m[..., j, i], -sign * m[..., third, i])
        else:  # m = R_k(c) R_j(b) R_i(a)
            b = fnp.arcsin(fnp.clip(-sign * m[..., k, i], -1.0, 1.0))
            a = fnp.arctan2(sign * m[..., k, j], m[..., k, k])
            c = fnp.arctan2(sign * m[..., j, i], m[..., i, i])
        angles = fnp.stack([a, b, c] if seq.islower() else [c, b, a], -1)
        return fnp.rad2deg(angles) if degrees else angles

    def apply(self, vectors: Any, inverse: bool = False) -> Any:
        """The rotated vectors [..., 3].

        Vectors [..., 3] and the stack broadcast.
        """
        m, vectors = self.as_matrix(), fnp.asarray(vectors)
        return fnp.einsum("...kj,...k->...j" if inverse else "...jk,...k->...j", m, vectors)

    def inv(self) -> Rotation:
        """The inverse."""
        return Rotation(self.quat * np.array([-1, -1, -1, 1], np.float32))

    def magnitude(self) -> Any:
        """The angle.

        In radians, [0, pi].
        """
        length = fnp.linalg.norm(self.quat[..., :3], axis=-1)
        return 2 * fnp.arctan2(length, fnp.abs(self.quat[..., 3]))

    def mean(self, weights: Any = None) -> Rotation:
        """The rotation nearest to all of a stack.

        The greatest eigenvector of sum w q q^T (Markley et al. 2007).
        """
        w = fnp.ones(self.quat.shape[0]) if weights is None else fnp.asarray(weights)
        _, vectors = fnp.linalg.eigh(fnp.einsum("n,ni,nj->ij", w, self.quat, self.quat))
        return Rotation.from_quat(vectors[:, -1])


class Slerp(NamedTuple):
    """Rotations in between, at constant angular speed: `Slerp.init(times, rotations)(t)`."""

    times: Any
    timedelta: Any
    rotations: Rotation
    rotvecs: Any

    @classmethod
    def init(cls, times: Any, rotations: Rotation) -> Slerp:
        """From increasing times and a stack of as many rotations, at least two."""
        times = fnp.asarray(times, fnp.result_type(float))
        if rotations.single or len(rotations) < 2:
            raise ValueError("`rotations` must be a sequence of at least 2 rotations.")
        if times.shape != (len(rotations),):
            raise ValueError(f"{len(rotations)} rotations need as many times, got {times.shape}")
        first, second = Rotation(rotations.quat[:-1]), Rotation(rotations.quat[1:])
        return cls(times, fnp.diff(times), first, (first.inv() * second).as_rotvec())

    def __call__(self, times: Any) -> Rotation:
        """The rotations at some times."""
        times = fnp.asarray(times, fnp.result_type(float))
        k = fnp.clip(fnp.searchsorted(self.times, times, "right") - 1, 0, len(self.timedelta) - 1)
        part = (times - self.times[k]) / self.timedelta[k]
        return self.rotations[k] * Rotation.from_rotvec(self.rotvecs[k] * part[..., None])
