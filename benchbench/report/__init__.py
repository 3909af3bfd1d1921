"""What people and programs read: tables, documents, pictures. Made from records alone."""
