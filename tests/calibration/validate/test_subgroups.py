import pytest

from tests.calibration.validate.pairs_oracle import Numbers, inside, oracle, values


def test_subgroups_repeat_the_figures_of_their_parts(made):
    validation, pairs, _ = made
    n = Numbers(pairs, "int8", "femoral_neck")
    column = {"sex": "sex", "maker": "maker", "spacing": "spacing_source", "side": "side"}
    words = {"female": "F", "male": "M", "right": "R", "left": "L"}
    rows = validation.facts["subgroups"]["femoral_neck"]
    assert {row["division"] for row in rows} == {"sex", "age", "BMI", "maker", "spacing", "side"}
    for row in rows:
        if row["division"] in column:
            mine = [one[column[row["division"]]] == words.get(row["part"], row["part"]) for one in n.rows]
        else:
            name = {"age": "age_years", "BMI": "bmi"}[row["division"]]
            mine = [inside(row["part"], one[name]) for one in n.rows]
        part = Numbers([one for one, is_in in zip(n.rows, mine, strict=True) if is_in], "int8", "femoral_neck")
        assert row["hips"] == len(part.x)
        expected = oracle(part) if len(part.x) > 2 else {}
        found = values(row["figures"])
        assert found == pytest.approx({name: expected[name] for name in found}, abs=2e-4)
