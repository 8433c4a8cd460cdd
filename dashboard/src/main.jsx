// The dashboard's page. It shows what the server's event stream says, and asks the server to act.
import { render } from 'preact';
import { App } from './app.jsx';
import './app.css';

render(<App />, document.getElementById('app'));
