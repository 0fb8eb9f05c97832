"""An episode in 3D as a recording for the Rerun viewer: point clouds, cameras, path, keyposes, the tool's way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hamster.data import Observation, View
from hamster.extras import extra
from hamster.label.rerun_log import JPEG_QUALITY, log_view
from hamster.path import Path2D
from hamster.path.colours import jet
from hamster.rollout.interfaces import ActionChunkLike

Array = NDArray[np.float64]
MAIN = "front"  # the camera that paths are drawn on, where there is one of that name
OPEN_RGB, CLOSED_RGB = (86, 180, 233), (230, 159, 0)  # of Okabe and Ito's palette, as in the studio
AXIS_M = 0.05


class EpisodeRecording:
    """Records what it is told, see `replay.ReplayListener`, on the timeline "time".

    `world/CAMERA` is a camera with its image and the path on it, `world/cloud/CAMERA` what it sees in 3D; `world/path`
    is the path at its depths, or else on what lies below it; `world/keyposes` is what the policy commands, each with
    the tool's approach; `world/tool` is where the tool is, and `world/way` where it was.

    Args:
        file: to write.

    Raises:
        NotInstalledError: if Rerun is not installed.
    """

    def __init__(self, file: Path) -> None:
        with extra("rerun"):
            import rerun as rr
        self._rr = rr
        self._stream = rr.RecordingStream("hamster")
        self._stream.save(file)
        self._stream.log("world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        self._way: list[Array] = []

    def acted(self, time_s: float, observation: Observation, path: Path2D | None, action: ActionChunkLike) -> None:
        """Log the views, the path, and the poses that the policy commands."""
        self._stream.set_time("time", duration=time_s)
        if not self._way:
            self._arrange(observation.views)
        main = MAIN if MAIN in observation.views else next(iter(observation.views), "")
        for name, view in observation.views.items():
            self._log_view(name, view, path if name == main else None)
        if path is not None and main and (points := path_in_world(path, observation.views[main])) is not None:
            shades = jet(np.linspace(0, 1, max(len(points), 2)))
            strips = [points[i : i + 2] for i in range(len(points) - 1)]
            self._stream.log("world/path", self._rr.LineStrips3D(strips, colors=shades[:-1], radii=0.002))
        self._log_keyposes(np.asarray(action.poses), np.asarray(action.gripper_open, bool))
        self._log_tool(np.asarray(observation.tool_pose_world), bool(observation.gripper_open > 0.5))

    def moved(self, time_s: float, tool_pose_world: Array, gripper_open: bool) -> None:
        """Log where the tool is."""
        self._stream.set_time("time", duration=time_s)
        self._log_tool(tool_pose_world, gripper_open)

    def close(self) -> None:
        """Finish the file."""
        self._stream.disconnect()

    def _arrange(self, views: Mapping[str, View]) -> None:
        """Show the scene in 3D at the left, and each camera's image at the right."""
        import rerun.blueprint as rrb

        images = [rrb.Spatial2DView(origin=f"world/{name}", name=name) for name in views]
        space = rrb.Spatial3DView(origin="world", name="3D")
        layout = rrb.Horizontal(space, rrb.Vertical(*images), column_shares=[3, 1]) if images else space
        self._stream.send_blueprint(rrb.Blueprint(layout, collapse_panels=True))

    def _log_view(self, name: str, view: View, path: Path2D | None) -> None:
        camera = view.camera
        if camera is not None:
            position, rotation = camera.world_from_camera[:3, 3], camera.world_from_camera[:3, :3]
            self._stream.log(f"world/{name}", self._rr.Transform3D(translation=position, mat3x3=rotation))
            size = [camera.width, camera.height]
            pinhole = self._rr.Pinhole(image_from_camera=camera.intrinsics, resolution=size, image_plane_distance=0.1)
            self._stream.log(f"world/{name}", pinhole)
        if path is None:
            self._stream.log(f"world/{name}/image", self._rr.Image(view.rgb).compress(jpeg_quality=JPEG_QUALITY))
        else:
            log_view(self._rr, self._stream, f"world/{name}/image", view.rgb, path)
        if camera is not None and view.depth_m is not None:
            is_seen = np.isfinite(view.depth_m) & (view.depth_m > 0)
            points = camera.points_world(view.depth_m)[is_seen]
            self._stream.log(f"world/cloud/{name}", self._rr.Points3D(points, colors=view.rgb[is_seen], radii=0.002))

    def _log_keyposes(self, poses: Array, gripper_open: NDArray[np.bool_]) -> None:
        tips, approach = poses[:, :3, 3], poses[:, :3, 2] * AXIS_M
        colours = np.where(gripper_open[:, None], OPEN_RGB, CLOSED_RGB).astype(np.uint8)
        labels = [f"{i} {'open' if is_open else 'closed'}" for i, is_open in enumerate(gripper_open, 1)]
        self._stream.log("world/keyposes", self._rr.Points3D(tips, colors=colours, labels=labels, radii=0.008))
        arrows = self._rr.Arrows3D(origins=tips - approach, vectors=approach, colors=colours, radii=0.002)
        self._stream.log("world/keyposes/approach", arrows)

    def _log_tool(self, tool_pose_world: Array, gripper_open: bool) -> None:
        self._way.append(tool_pose_world[:3, 3].copy())
        colour = OPEN_RGB if gripper_open else CLOSED_RGB
        self._stream.log("world/tool", self._rr.Points3D([self._way[-1]], colors=[colour], radii=0.01))
        self._stream.log("world/way", self._rr.LineStrips3D([np.array(self._way)], colors=[(128, 128, 128)]))


def path_in_world(path: Path2D, view: View) -> Array | None:
    """Return the waypoints of a path (N, 3) in the world, metres: at its depths, or else on what the camera sees there.

    None if the camera is not calibrated, or there is neither depth.
    """
    camera = view.camera
    if camera is None or (path.depth_m is None and view.depth_m is None):
        return None
    px = path.uv * camera.size_px
    if path.depth_m is not None:
        return camera.unproject(px, path.depth_m)
    assert view.depth_m is not None
    column, row = np.minimum(px.astype(int), [camera.width - 1, camera.height - 1]).T
    return camera.unproject(px, view.depth_m[row, column])
