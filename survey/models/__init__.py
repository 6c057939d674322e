"""Models that come with the package, made by ``pipelines/make_models.py``; a card (JSON) lies beside each."""
