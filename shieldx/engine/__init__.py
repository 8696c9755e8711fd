"""The engine: tasks that commit outputs, tables and positions together. It knows no domain."""
