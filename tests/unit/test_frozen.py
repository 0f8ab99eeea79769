import pytest

from containerdeploy.frozen import NOTHING, as_mapping, defaults, frozen, is_frozen, names, replace


@frozen
class Point:
    x: int
    y: int = 0
    marks: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return self.x + self.y


@frozen
class Twin:
    x: int
    y: int = 0
    marks: tuple[str, ...] = ()


def test_fields_are_given_by_name_and_the_rest_are_defaults() -> None:
    point = Point(x=1, marks=("a",))
    assert as_mapping(point) == {"x": 1, "y": 0, "marks": ("a",)}
    assert names(Point) == ("x", "y", "marks")
    assert defaults(Point) == {"y": 0, "marks": ()}
    assert point.total == 1


def test_wrong_arguments_say_which_field_they_are_about() -> None:
    with pytest.raises(TypeError, match="Point needs the fields x to be given"):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Point has no field 'z'"):
        Point(x=1, z=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Point(1)  # type: ignore[misc]


def test_equal_fields_make_equal_values_of_one_kind_only() -> None:
    assert Point(x=1) == Point(x=1, y=0)
    assert Point(x=1) != Point(x=2)
    assert Point(x=1) != Twin(x=1)
    assert len({Point(x=1), Point(x=1), Point(x=3)}) == 2


def test_nothing_can_be_assigned_or_deleted() -> None:
    point = Point(x=1)
    with pytest.raises(AttributeError, match="x can't be changed"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match="x can't be changed"):
        del point.x
    with pytest.raises(TypeError):
        NOTHING["a"] = 1  # type: ignore[index]


def test_a_copy_differs_only_where_asked() -> None:
    point = Point(x=1, y=2)
    assert replace(point, y=3) == Point(x=1, y=3)
    assert point.y == 2
    with pytest.raises(TypeError, match="no field 'z'"):
        replace(point, z=1)


def test_values_show_what_they_hold() -> None:
    assert repr(Point(x=1, marks=("a",))) == "Point(x=1, y=0, marks=('a',))"
    assert is_frozen(Point(x=1))
    assert not is_frozen(Point)
    assert not is_frozen({"x": 1})
