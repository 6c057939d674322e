import numpy as np
import pytest

from survey.errors import JobError
from survey.synthetic.site import SAMPLE_SITES, TEST_SITES, site_of, training_sites


def test_a_seed_names_one_site():
    assert site_of(12) == site_of(12)
    assert site_of(12).name == "drawn-000012"
    assert site_of(12) != site_of(13)


def test_sites_differ_in_every_respect():
    sites = training_sites(60)
    assert len({site.soil.first for site in sites}) >= 7
    assert len({cover for site in sites for cover, _ in site.covers}) == 10
    azimuths = [site.light.azimuth_deg for site in sites]
    assert max(azimuths) - min(azimuths) > 150
    assert {site.sensor.jpeg_quality for site in sites} >= {0, 70, 95}
    assert np.ptp([site.growth.dryness for site in sites]) > 0.8
    assert all(sum(share for _, share in site.covers) == pytest.approx(1.0) for site in sites)


@pytest.mark.parametrize("kept", [SAMPLE_SITES, TEST_SITES])
def test_kept_sites_are_refused_for_training(kept):
    with pytest.raises(JobError, match="kept for"):
        training_sites(5, first=kept.start - 2)
    with pytest.raises(JobError, match="kept for"):
        training_sites(1, first=kept.stop - 1)
    assert training_sites(2, first=kept.stop)[0].seed == kept.stop
    assert training_sites(2, first=kept.start - 2)[-1].seed == kept.start - 1


def test_kept_ranges_do_not_meet():
    assert not set(SAMPLE_SITES) & set(TEST_SITES)
