// The dashboard's page. It shows what the server's event stream says, and asks the server to act.
import { render } from 'preact';
import { App } from './app.jsx';
import './styles/base.css';
import './styles/panels.css';
import './styles/tables.css';
import './styles/dialogs.css';
import './styles/narrow.css';

render(<App />, document.getElementById('app'));
