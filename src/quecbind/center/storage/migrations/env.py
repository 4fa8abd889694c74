"""Alembic's entry: runs the steps on the connection it is given, each in one transaction. There is no offline mode."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
