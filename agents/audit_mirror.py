"""audit-mirror: copies the audit log to Postgres."""

from shieldx.domains.audit import projections, tables
from shieldx.engine.declarations.sink import Months, Sink, SqlTable

agent = Sink(
    name="audit-mirror",
    reads=(tables.LOG,),
    into=(
        SqlTable(
            name=projections.TABLE,
            key=projections.KEY,
            columns=projections.COLUMNS,
            append_only=True,
            copies=tables.LOG,
            own_columns=projections.OWN_COLUMNS,
            row_lifetime="until you detach its month's partition",
            months=Months(column=projections.MONTHS_OF, make=projections.MAKE_PARTITION),
        ),
    ),
    rows=projections.rows,
)
