"""Off-screen rendering: RGB and metric depth in one pass, segmentation in another."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from hamster.data import View
from hamster.geometry import Camera
from hamster.sim.build import FLIP
from hamster.sim.opengl import gl_context


class Renderer:
    """Renders one model at one size.

    Args:
        model: as made by `build`.
        height: of the images, at most 1024 pixels.
        width: of the images, at most 1024 pixels.
    """

    def __init__(self, model: mujoco.MjModel, height: int = 256, width: int = 256) -> None:
        self.model, self.height, self.width = model, height, width
        gl_context().make_current()
        self._scene = mujoco.MjvScene(model, maxgeom=400)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = bool(model.light_castshadow.any())
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self._option = mujoco.MjvOption()
        self._option.sitegroup[:] = 0
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._rect = mujoco.MjrRect(0, 0, width, height)

    def render(self, data: mujoco.MjData, camera: str) -> View:
        """Render a camera: rgb, depth_m along the optical axis, calibration."""
        rgb = np.empty((self.height, self.width, 3), np.uint8)
        depth = np.empty((self.height, self.width), np.float32)
        self._draw(data, camera)
        mujoco.mjr_readPixels(rgb, depth, self._rect, self._context)
        near = self.model.vis.map.znear * self.model.stat.extent
        far = self.model.vis.map.zfar * self.model.stat.extent
        depth_m = near * far / (near + depth.astype(np.float64) * (far - near))
        return View(rgb[::-1].copy(), depth_m[::-1].astype(np.float32), self.camera(data, camera))

    def segment(self, data: mujoco.MjData, camera: str) -> NDArray[np.int32]:
        """Return the id of the geom in each pixel (H, W) int32, -1 for none."""
        flags = self._scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = True
        rgb = np.empty((self.height, self.width, 3), np.uint8)
        self._draw(data, camera)
        mujoco.mjr_readPixels(rgb, None, self._rect, self._context)
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = False
        code = rgb[::-1].astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], np.int32)
        geom_of_code = np.full(self._scene.ngeom + 1, -1, np.int32)
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.segid >= 0 and geom.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                geom_of_code[geom.segid + 1] = geom.objid
        return np.asarray(geom_of_code[np.clip(code, 0, self._scene.ngeom)])

    def camera(self, data: mujoco.MjData, name: str) -> Camera:
        """Return the present calibration of a camera."""
        spec = self.model.camera(name)
        focal = 0.5 * self.height / np.tan(np.radians(spec.fovy[0]) / 2)
        intrinsics = np.array([[focal, 0, self.width / 2], [0, focal, self.height / 2], [0, 0, 1]])
        world_from_camera = np.eye(4)
        world_from_camera[:3, :3] = data.camera(name).xmat.reshape(3, 3) @ FLIP
        world_from_camera[:3, 3] = data.camera(name).xpos
        return Camera(intrinsics, world_from_camera, self.width, self.height)

    def _draw(self, data: mujoco.MjData, camera: str) -> None:
        view = mujoco.MjvCamera()
        view.type, view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, self.model.camera(camera).id
        mujoco.mjv_updateScene(self.model, data, self._option, None, view, mujoco.mjtCatBit.mjCAT_ALL, self._scene)
        # All renderers share one GL context: another one may have bound its buffer since.
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        mujoco.mjr_render(self._rect, self._scene, self._context)

    def close(self) -> None:
        """Free the textures and buffers of the GPU."""
        self._context.free()
