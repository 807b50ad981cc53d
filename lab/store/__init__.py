"""The plain files of a data root. All writing goes through `store.files`."""
