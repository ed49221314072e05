"""A private part of torchvision."""


def pet_archives() -> list[tuple[str, str]]:
    """Return URL and MD5 of each archive of the Oxford-IIIT Pets.

    `OxfordIIITPet(download=True)` unpacks into the folder itself, so that a kill leaves a folder that looks complete.
    """
    from torchvision.datasets import OxfordIIITPet  # slow to import

    return list(OxfordIIITPet._RESOURCES)
