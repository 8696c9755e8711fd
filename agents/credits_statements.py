"""credits-statements: copies the ledger's accounts and transactions to Postgres, personal data apart."""

from shieldx.domains.credits import projections, tables
from shieldx.engine.declarations.sink import Sink, SqlTable

agent = Sink(
    name="credits-statements",
    reads=(tables.ACCOUNTS, tables.TRANSACTIONS),
    into=(
        SqlTable(
            name=projections.ACCOUNTS_TABLE,
            key=projections.ACCOUNTS_KEY,
            columns=projections.ACCOUNTS_COLUMNS,
            copies=tables.ACCOUNTS,
            own_columns=projections.ACCOUNTS_OWN,
            row_lifetime="as long as the table",
        ),
        SqlTable(
            name=projections.TRANSACTIONS_TABLE,
            key=projections.TRANSACTIONS_KEY,
            columns=projections.TRANSACTIONS_COLUMNS,
            copies=tables.TRANSACTIONS,
            own_columns=projections.TRANSACTIONS_OWN,
            row_lifetime="as long as the table",
        ),
        SqlTable(
            name=projections.PERSONAL_TABLE,
            key=projections.PERSONAL_KEY,
            columns=projections.PERSONAL_COLUMNS,
            copies=tables.TRANSACTIONS,
            own_columns=projections.PERSONAL_OWN,
            row_lifetime="until the data key that sealed it is erased",
        ),
    ),
    rows=projections.rows,
    tenants={tables.ACCOUNTS: bytes.decode},
)
