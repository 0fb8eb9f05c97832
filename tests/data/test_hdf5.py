import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from hamster.data import Episode, Unreadable, safe_pickle
from hamster.data.hdf5 import HDF5
from hamster.data.hdf5.mjcf import read_model
from hamster.data.joint_source import RobotModel, with_tool_poses
from hamster.geometry import Camera, rotation_z
from tests.data.hdf5_files import EYE, MODEL, STEPS, seen_from_hand, tips, write_libero, write_robomimic
from tests.data.real import real_data
from tests.geometry.kinematics.robot_files import TWO_LINKS, planar_tip, write


def red(rgb):
    return np.argwhere((rgb[..., 0] > 200) & (rgb[..., 1] < 60))[:, ::-1].mean(0) + 0.5


def test_reads_libero(tmp_path):
    source = pickle.loads(pickle.dumps(HDF5(write_libero(tmp_path / "a_demo.hdf5", demos=("demo_0",)))))
    assert len(source) == 1 and source.uri == f"hdf5:{tmp_path / 'a_demo.hdf5'}"
    episode = source[0]
    assert episode.instructions == ("move the ball",) and len(episode.observations) == STEPS
    assert list(episode.observations[0].views) == ["agentview", "eye_in_hand"]
    assert episode.observations[2].time_s == pytest.approx(0.1)
    assert np.allclose(episode.gripper, np.linspace(1, 0, STEPS))
    assert np.allclose(episode.tool_poses_world[:, :3, 3], tips())
    assert np.allclose(episode.tool_poses_world[:, :3, 2], [0, 0, -1])
    assert np.allclose(np.abs(episode.tool_poses_world[:, :3, 1]), [1, 0, 0], atol=1e-6)  # the fingers' axis
    assert len(episode.provenance.sha256) == 64 and episode.provenance.source == "hdf5:a_demo.hdf5#demo_0"


@pytest.mark.parametrize("convention", ["opengl", "opencv"])
def test_upside_down_images_are_turned_upright_and_the_tip_is_where_the_camera_says(tmp_path, convention):
    episode = HDF5(write_libero(tmp_path / "a.hdf5", convention=convention))[0]
    for observation in episode.observations:
        view = observation.views["agentview"]
        px, depth_m = view.camera.project(observation.tool_pose_world[:3, 3])
        assert depth_m > 0 and np.linalg.norm(px - red(view.rgb)) < 1
    path = [view.views["agentview"].camera.project(view.tool_pose_world[:3, 3])[0] for view in episode.observations]
    assert path[-1][0] > path[0][0] and path[-1][1] > path[0][1]  # to the right and down, not mirrored


def test_the_camera_on_the_hand_moves_with_it(tmp_path):
    episode = HDF5(write_libero(tmp_path / "a.hdf5"))[0]
    poses = [observation.views["eye_in_hand"].camera.world_from_camera for observation in episode.observations]
    assert np.allclose(poses[3][:3, 3] - poses[0][:3, 3], tips()[3] - tips()[0])
    for observation in episode.observations:
        view = observation.views["eye_in_hand"]
        px, depth_m = view.camera.project(observation.tool_pose_world[:3, 3])
        assert depth_m == pytest.approx(0.1) and np.allclose(px, seen_from_hand(), atol=0.01)
        assert np.linalg.norm(px - red(view.rgb)) < 1


def test_joints_give_the_tool_and_the_camera_in_the_frame_of_the_robots_base(tmp_path):
    file, q = write_libero(tmp_path / "a.hdf5"), np.linspace([-1, 0.2], [1.5, 2], STEPS)
    with h5py.File(file, "a") as h5:
        obs = h5["data/demo_0/obs"]
        obs["joint_states"] = q
        assert HDF5(file)[0].tool_poses_world is not None, "the poses that were recorded are kept"
        del obs["ee_pos"], obs["ee_ori"]
    robot = write(tmp_path, TWO_LINKS, "planar.urdf")
    recorded, projected = HDF5(file)[0], with_tool_poses(HDF5(file), RobotModel(file=robot, tool="tip"))[0]
    assert recorded.tool_poses_world is None and np.allclose(recorded.joints.positions, q)
    assert np.allclose(projected.tool_poses_world[:, :2, 3], [planar_tip(row) for row in q])
    camera = projected.observations[0].views["agentview"].camera
    assert np.allclose(camera.world_from_camera[:3, 3], EYE - np.array([-0.5, 0, 0])), "the base is at x = -0.5 m"


def test_reads_robomimic_whose_images_are_upright(tmp_path):
    episode = HDF5(write_robomimic(tmp_path / "image.hdf5"))[0]
    assert episode.instructions == ("pick place can",)
    assert episode.gripper.tolist() == [1] * STEPS  # commanded: six finger joints say little
    for observation in episode.observations:
        view = observation.views["agentview"]
        px, _ = view.camera.project(observation.tool_pose_world[:3, 3])
        assert np.linalg.norm(px - red(view.rgb)) < 1


def test_a_file_without_a_model_has_no_calibration(tmp_path):
    episode = HDF5(write_libero(tmp_path / "a.hdf5", model=""))[0]
    assert episode.observations[0].views["agentview"].camera is None and episode.tool_poses_world is not None


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"problem_info": '{"language_instruction": ["g", "o"]}'}, "go"),
        ({"problem_info": None, "bddl_file_content": "(define (:language Push it) (:x))"}, "Push it"),
        ({"problem_info": None}, "move the ball over"),
        ({"problem_info": "not JSON", "bddl_file_name": None}, "put it there"),
    ],
)
def test_words_from_wherever_they_are(tmp_path, attributes, words):
    file = write_libero(tmp_path / "LIVING_ROOM_SCENE2_put_it_there_demo.hdf5", attributes=attributes)
    assert HDF5(file)[0].instructions == (words,)


def test_demonstrations_by_number_and_files_by_name(tmp_path):
    write_libero(tmp_path / "b.hdf5", demos=("demo_10", "demo_9"), steps=2)
    write_libero(tmp_path / "a.hdf5", steps=2)
    source = HDF5(tmp_path)
    found = [source[i].provenance.file for i in range(len(source))]
    assert found == ["a.hdf5/demo_0", "b.hdf5/demo_9", "b.hdf5/demo_10"]


def edit(file, change):
    with h5py.File(file, "r+") as h5:
        change(h5["data/demo_1"])


def drop_images(demo):
    del demo["obs/agentview_rgb"], demo["obs/eye_in_hand_rgb"]


def short(demo):
    del demo["obs/ee_pos"]
    demo["obs/ee_pos"] = tips(5)


def few_images(demo):
    images = demo["obs/agentview_rgb"][:5]
    del demo["obs/agentview_rgb"]
    demo["obs/agentview_rgb"] = images


def nan(demo):
    demo["obs/ee_pos"][:] = np.nan


def elsewhere(demo):
    del demo["obs/agentview_rgb"]
    demo["obs/agentview_rgb"] = h5py.ExternalLink("/etc/passwd", "/data")


def elsewhere_through_a_link(demo):
    """A link within the file, whose path goes through another file: that file would be opened, too."""
    outside(demo)
    del demo["obs/agentview_rgb"]
    demo.file["door"] = h5py.ExternalLink("outside.hdf5", "/")
    demo["obs/agentview_rgb"] = h5py.SoftLink("/door/agentview_rgb")


def elsewhere_through_many_links(demo):
    outside(demo)
    del demo["obs/ee_pos"]
    demo["obs/door"] = h5py.ExternalLink("outside.hdf5", "/")
    demo["obs/hall"] = h5py.SoftLink("door")
    demo.file["hall"] = h5py.SoftLink(f"{demo.name}/./obs//hall")
    demo["obs/ee_pos"] = h5py.SoftLink("/hall/ee_pos")


def elsewhere_as_a_whole(demo):
    outside(demo)
    demo.file["door"] = h5py.ExternalLink("outside.hdf5", "/")
    demo.move("obs", "old")
    demo["obs"] = h5py.SoftLink("/door")


def outside(demo):
    with h5py.File(Path(demo.file.filename).with_name("outside.hdf5"), "w") as other:
        for name, array in demo["obs"].items():
            other[name] = array[()]


def elsewhere_by_mapping(demo):
    outside(demo)
    del demo["obs/agentview_rgb"]
    layout = h5py.VirtualLayout((STEPS, 64, 64, 3), "u1")
    layout[:] = h5py.VirtualSource("outside.hdf5", "agentview_rgb", (STEPS, 64, 64, 3))
    demo["obs"].create_virtual_dataset("agentview_rgb", layout)


def circle(demo):
    del demo["obs/ee_pos"]
    demo["obs/ee_pos"] = h5py.SoftLink(f"{demo.name}/obs/round")
    demo["obs/round"] = h5py.SoftLink("ee_pos")


def growing_circle(demo):
    del demo["obs/ee_pos"]
    demo["obs/ee_pos"] = h5py.SoftLink("ee_pos/ee_pos/ee_pos")


def raw_file(demo):
    del demo["obs/ee_pos"]
    demo["obs"].create_dataset("ee_pos", (STEPS, 3), "f8", external=[("/dev/zero", 0, 24 * STEPS)])


def endless(demo):
    del demo["obs/ee_pos"]
    demo["obs"].create_dataset("ee_pos", (10**11, 3), "f8", chunks=(1000, 3))


def huge_images(demo):
    del demo["obs/agentview_rgb"]
    demo["obs"].create_dataset("agentview_rgb", (STEPS, 10**5, 10**5, 3), "u1", chunks=(1, 10, 10, 3))


def no_xml(demo):
    demo.attrs["model_file"] = "<mujoco><worldbody>"


def bomb(demo):
    demo.attrs["model_file"] = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><mujoco>&c;</mujoco>'


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (drop_images, "low-dimensional data only"),
        (short, "5 positions and 8 rotations"),
        (few_images, r"\[5, 8\] steps"),
        (nan, "no finite numbers"),
        (elsewhere, "'agentview_rgb' in .* links to another file; only"),
        (elsewhere_through_a_link, "'agentview_rgb' in .* links to another file through 'door' in /; only"),
        (elsewhere_through_many_links, "'ee_pos' in .* links to another file through 'door' in /data/demo_1/obs"),
        (elsewhere_as_a_whole, "'obs' in .* links to another file through 'door' in /"),
        (elsewhere_by_mapping, "lies in another file"),
        (circle, "'ee_pos' in .* leads through more than 16 links, or in a circle"),
        (growing_circle, "'ee_pos' in .* leads through more than 16 links, or in a circle"),
        (raw_file, "lies in another file"),
        (endless, "larger than 512 MiB"),
        (huge_images, "too many"),
        (no_xml, "XML is damaged"),
        (bomb, "XML is damaged"),
    ],
)
def test_a_broken_demonstration_is_reported_and_the_others_read(tmp_path, change, reason):
    file = write_libero(tmp_path / "a.hdf5", demos=("demo_0", "demo_1", "demo_2"))
    edit(file, change)
    first, broken, last = (HDF5(file)[i] for i in range(3))
    assert isinstance(first, Episode) and isinstance(last, Episode)
    assert isinstance(broken, Unreadable) and broken.file == "a.hdf5/demo_1"
    with pytest.raises(ValueError, match=reason):
        raise ValueError(broken.reason)


def test_links_within_the_file_are_followed(tmp_path):
    file = write_libero(tmp_path / "a.hdf5", demos=("demo_0", "demo_1"))
    with h5py.File(file, "r+") as h5:
        h5.move("data/demo_1/obs/agentview_rgb", "images")
        h5["data/demo_1/obs/agentview_rgb"] = h5py.SoftLink("../images")  # no way up in HDF5: this leads nowhere
        h5["data/demo_1/obs/front_rgb"] = h5py.SoftLink("/data/demo_1/./obs/inner")
        h5["data/demo_1/obs/inner"] = h5py.SoftLink("/images")
        h5["data/demo_2"] = h5py.SoftLink("demo_1")
        h5["data/demo_3"] = h5py.SoftLink("nowhere")
    plain, linked, again, dangling = (HDF5(file)[i] for i in range(4))
    for episode in (linked, again):
        assert sorted(episode.observations[0].views) == ["eye_in_hand", "front"]
        for before, after in zip(plain.observations, episode.observations, strict=True):
            assert np.array_equal(before.views["agentview"].rgb, after.views["front"].rgb)
    assert isinstance(dangling, Unreadable) and "no group 'demo_3'" in dangling.reason


def test_a_file_that_is_no_hdf5_is_one_item_that_cannot_be_read(tmp_path):
    write_libero(tmp_path / "a.hdf5")
    (tmp_path / "cut.hdf5").write_bytes((tmp_path / "a.hdf5").read_bytes()[:3000])
    (tmp_path / "noise.hdf5").write_bytes(b"noise" * 100)
    good, *bad = (HDF5(tmp_path)[i] for i in range(3))
    assert isinstance(good, Episode)
    assert [item.file for item in bad] == ["cut.hdf5", "noise.hdf5"]
    assert all("not HDF5, cut off or damaged" in item.reason for item in bad)


def test_nothing_at_all_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no file"):
        HDF5(tmp_path / "nowhere.hdf5")
    with pytest.raises(ValueError, match="no demonstrations"):
        HDF5(tmp_path)


QUARTER = rotation_z(np.pi / 2)


@pytest.mark.parametrize(
    ("spelling", "compiler"),
    [
        ('quat="0.7071068 0 0 0.7071068"', ""),
        ('axisangle="0 0 2 90"', ""),
        ('euler="0 0 1.5707963"', '<compiler angle="radian"/>'),
        ('euler="90 0 0"', '<compiler eulerseq="zyx"/>'),
        ('xyaxes="0 3 0 -1 1 0"', ""),
    ],
)
def test_a_rotation_in_any_of_mujocos_spellings(spelling, compiler):
    body = f'<body name="a" pos="1 0 0" {spelling}><site name="s" pos="0.5 0 0"/></body>'
    model = read_model(f"<mujoco>{compiler}<worldbody><frame pos='0 0 1'>{body}</frame></worldbody></mujoco>")
    assert np.allclose(model.bodies["a"].anchor_from_here[:3, :3], QUARTER, atol=1e-6)
    assert np.allclose(model.sites["s"].anchor_from_here[:3, 3], [1, 0.5, 1], atol=1e-6)


def test_zaxis():
    model = read_model('<mujoco><worldbody><site name="s" zaxis="1 0 0"/></worldbody></mujoco>')
    assert np.allclose(model.sites["s"].anchor_from_here[:3, 2], [1, 0, 0])


def test_cameras_that_turn_by_themselves_are_left_out():
    assert set(read_model(MODEL).cameras) == {"agentview", "robot0_eye_in_hand"}


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "<html/>",
        '<mujoco><worldbody><camera name="c" fovy="200"/></worldbody></mujoco>',
        '<mujoco><worldbody><camera name="c" pos="1 nan 0"/></worldbody></mujoco>',
        '<mujoco><worldbody><body quat="0 0 0 0"/></worldbody></mujoco>',
        "<mujoco><worldbody>" + "<body>" * 1000 + "</body>" * 1000 + "</worldbody></mujoco>",
    ],
)
def test_a_model_that_is_none_is_refused_in_one_line(xml):
    with pytest.raises(ValueError, match="model") as refused:
        read_model(xml)
    assert "\n" not in str(refused.value)


def test_a_real_libero_image_is_not_mirrored():
    """OpenVLA turned this one by 180 degrees: mirrored back, the tip is projected into the middle of the white hand."""
    file = real_data("a-libero-obs") / "sample_libero_spatial_observation.pkl"
    seen = safe_pickle.load(file)
    turned, tip = np.asarray(seen["full_image"]), np.asarray(seen["state"])[:3]
    upright = turned[::-1, ::-1][::-1]  # as LIBERO stores it, and as it is read here
    camera = '<camera name="agentview" pos="0.6586 0 1.6103" quat="0.6380 0.3048 0.3048 0.6380"/>'
    model = read_model(f"<mujoco><worldbody>{camera}</worldbody></mujoco>").cameras["agentview"]
    agentview = Camera(model.intrinsics(224, 224), model.place.anchor_from_here, 224, 224)
    px, _ = agentview.project(tip)
    left, right = np.flatnonzero((upright[28:45].min(-1) > 130).any(0))[[0, -1]]
    assert right - left > 40 and abs((left + right + 1) / 2 - px[0]) < 2
    assert abs(224 - (left + right + 1) / 2 - px[0]) > 4  # as OpenVLA has it
