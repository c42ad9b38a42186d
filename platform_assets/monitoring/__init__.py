"""Operations, a folder for each topic. Notifications are `communications/`, keeping processes alive is `supervision/`."""
