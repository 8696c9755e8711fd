"""privacy-erasures: copies the names of destroyed keys to Postgres, where what they sealed is deleted."""

from shieldx.domains.privacy import projections, tables
from shieldx.engine.declarations.sink import Sink, SqlTable

agent = Sink(
    name="privacy-erasures",
    reads=(tables.ERASURES,),
    into=(
        SqlTable(
            name=projections.ERASED_KEYS_TABLE,
            key=projections.ERASED_KEYS_KEY,
            columns=projections.ERASED_KEYS_COLUMNS,
            copies=tables.ERASURES,
            own_columns=projections.ERASED_KEYS_OWN,
            row_lifetime="as long as the table",
        ),
    ),
    rows=projections.rows,
)
